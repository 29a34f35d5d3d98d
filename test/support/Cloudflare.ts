/**
 * A stand-in for Cloudflare's API v4, as far as acme.sh's dns_cf uses it: zones, their TXT records, and the check of
 * the credentials. It speaks HTTPS as `api.cloudflare.com` with a certificate of the test's CA, and hands the records
 * to Pebble's DNS server.
 *
 * dns_cf has the URL fixed. It is led here by curl's own means: `connect-to` in the `.curlrc` of the HOME that acme.sh
 * gets ({@link Cloudflare.curlrc}). Neither root nor a network is needed.
 */
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import type { IncomingMessage } from "node:http"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { commandLines } from "./CommandLines.ts"
import type { Pebble } from "./Pebble.ts"

export interface CloudflareOptions {
  /** The names of the zones that the credentials may edit. */
  readonly zones: ReadonlyArray<string>
  /** The token that is right; or an e-mail address with its key. */
  readonly token?: string
  readonly email?: string
  readonly key?: string
}

export interface Cloudflare {
  /** What `.curlrc` must hold. */
  readonly curlrc: string
  /** `GET /client/v4/zones?name=example.test 200`, in order. */
  readonly requests: ReadonlyArray<string>
  /** The argument lists of all processes of this machine that showed a credential while a request was answered. */
  readonly seen: ReadonlyArray<string>
  /** TXT records that are there now. */
  readonly records: () => ReadonlyArray<{ readonly name: string; readonly content: string }>
}

interface Zone {
  readonly id: string
  readonly name: string
}
interface TxtRecord extends Zone {
  readonly content: string
  readonly zone: string
}

const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  let text = ""
  for await (const part of request) text += String(part)
  return text === "" ? {} : JSON.parse(text)
}

const id = () => randomBytes(16).toString("hex")

const start = async (ca: Pick<Pebble, "authority" | "dns">, options: CloudflareOptions) => {
  const zones: ReadonlyArray<Zone> = options.zones.map((name) => ({ id: id(), name }))
  let records: Array<TxtRecord> = []
  const requests: Array<string> = []
  const seen: Array<string> = []
  const secrets = [options.token, options.key].filter((one) => one !== undefined)

  const toDns = async (path: string, body: unknown) => {
    await fetch(ca.dns + path, { method: "POST", body: JSON.stringify(body) })
  }
  const publish = async (name: string) => {
    await toDns("/clear-txt", { host: `${name}.` })
    for (const record of records.filter((one) => one.name === name)) {
      await toDns("/set-txt", { host: `${name}.`, value: record.content })
    }
  }

  const isAllowed = ({ headers }: IncomingMessage) =>
    options.token === undefined
      ? headers["x-auth-email"] === options.email && headers["x-auth-key"] === options.key
      : headers.authorization === `Bearer ${options.token}`

  const found = (result: ReadonlyArray<unknown>) => ({
    result,
    result_info: { page: 1, per_page: 20, total_pages: 1, count: result.length, total_count: result.length },
    success: true,
    errors: [],
    messages: []
  })
  const one = (result: unknown) => ({ result, success: true, errors: [], messages: [] })

  const answer = async (request: IncomingMessage, url: URL): Promise<readonly [status: number, body: unknown]> => {
    if (!isAllowed(request)) {
      const errors = [{ code: 9109, message: "Invalid access token" }]
      return [403, { success: false, errors, messages: [], result: null }]
    }
    const name = url.searchParams.get("name")
    const [, zoneId, recordId] = /^\/client\/v4\/zones(?:\/(\w+)(?:\/dns_records(?:\/(\w+))?)?)?$/.exec(url.pathname) ??
      []
    const route = `${request.method} ${url.pathname.replace(/[0-9a-f]{32}/g, "ID").replace("/client/v4", "")}`
    switch (route) {
      case "GET /user/tokens/verify":
        return [200, one({ status: "active" })]
      case "GET /zones":
        return [200, found(zones.filter((zone) => name === null || zone.name === name))]
      case "GET /zones/ID":
        return [200, one(zones.find((zone) => zone.id === zoneId) ?? null)]
      case "GET /zones/ID/dns_records": {
        const content = url.searchParams.get("content")
        return [
          200,
          found(
            records.filter((record) =>
              record.zone === zoneId && record.name === name && (content === null || record.content === content)
            )
          )
        ]
      }
      case "POST /zones/ID/dns_records": {
        const wanted = await bodyOf(request) as TxtRecord
        const record = { id: id(), name: wanted.name, content: wanted.content, zone: zoneId! }
        records.push(record)
        await publish(record.name)
        return [200, one(record)]
      }
      case "DELETE /zones/ID/dns_records/ID": {
        const record = records.find((one) => one.id === recordId)
        records = records.filter((one) => one !== record)
        if (record !== undefined) await publish(record.name)
        return [200, one({ id: recordId })]
      }
      default:
        return [404, { success: false, errors: [{ code: 7003, message: "No route" }], messages: [], result: null }]
    }
  }

  const certificate = ca.authority.issue(["api.cloudflare.com"])
  const server = createServer({ cert: certificate.chain, key: certificate.key }, (request, response) => {
    const url = new URL(request.url ?? "/", "https://api.cloudflare.com")
    // The one who asks is there until it has its answer.
    seen.push(...commandLines().filter((line) => secrets.some((secret) => line.includes(secret))))
    void answer(request, url).then(([status, body]) => {
      requests.push(`${request.method} ${url.pathname}${url.search} ${status}`)
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const running: Cloudflare = {
    curlrc: `connect-to = "api.cloudflare.com:443:127.0.0.1:${port}"\n`,
    requests,
    seen,
    records: () => records.map(({ content, name }) => ({ name, content }))
  }
  return { running, server }
}

/** Starts one in the scope. */
export const startCloudflare = (ca: Pick<Pebble, "authority" | "dns">, options: CloudflareOptions) =>
  Effect.map(
    Effect.acquireRelease(Effect.promise(() => start(ca, options)), ({ server }) =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise<void>((resolve) => server.close(() => resolve()))
      })),
    ({ running }) => running
  )
