/**
 * From nothing to HTTPS: a name that nobody knows becomes a site with a certificate in two tool calls. With a CA at
 * hand the certificate is issued; without one it is self-signed and loaded, and said as such. Both are proved by
 * visitors who trust that CA (or that one certificate) and nothing else.
 */
import { chmod, readFile, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { CertInfoAnswer, CertWriteAnswer } from "../../src/program/certificates/Shapes.ts"
import type { AddDomainAnswer } from "../../src/program/DomainShapes.ts"
import type { OperationAnswer } from "../../src/program/Operations.ts"
import { runCommand } from "../debian/Command.ts"
import type { HaproxyBinary } from "../haproxy.ts"
import type { AcmeServer } from "./AcmeServer.ts"
import type { Agent } from "./Agent.ts"
import type { CertificatePrograms } from "./CertificatePrograms.ts"
import { prove } from "./DemoFailure.ts"
import { pageByCurl, pageByNode, type Secure, type SecurePage, shake } from "./Https.ts"
import type { Origin } from "./Origins.ts"
import { host } from "./Ports.ts"
import { duration } from "./Screen.ts"
import { selfSigned } from "./SelfSigned.ts"
import type { Stage } from "./Stage.ts"
import type { Proof } from "./Steps.ts"

/** The site of this step; it is registrable, so it comes with its wildcard, and so does its certificate. */
export const secure = "example.net"

/** What the step works with. */
export interface CertificateCast {
  readonly stage: Stage
  readonly binary: HaproxyBinary
  readonly programs: CertificatePrograms
  /** Null: no CA, so the certificate is self-signed. */
  readonly acme: AcmeServer | null
  readonly agent: Agent
  readonly origin: Origin
}

/** A CA, or why there is none. */
export const startCa = async (
  stage: Stage,
  programs: CertificatePrograms,
  note: (text: string) => void
): Promise<{ readonly acme: AcmeServer | null; readonly proof: Proof }> => {
  const { acme, curl } = programs
  note("starting Pebble")
  const nothing = { absent: "acme.sh cannot work in a folder with such a name" }
  const server = "absent" in acme
    ? acme
    : await stage.startAcmeServer(acme).then((one) => one ?? nothing, (cause: Error) => ({ absent: cause.message }))
  const http3 = "absent" in curl ? `no curl with HTTP/3: ${curl.absent}` : `curl ${curl.version} with HTTP/3`
  if (!("absent" in server) && !("absent" in acme)) {
    return {
      acme: server,
      proof: {
        proved: `A CA of our own: Pebble, an ACME server, and acme.sh ${acme.version} to ask it`,
        details: [`${server.url}; ${http3}`]
      }
    }
  }
  return {
    acme: null,
    proof: {
      proved: "No CA here, so the certificate of this tour will be a self-signed one",
      details: ["absent" in server ? server.absent : "", http3]
    }
  }
}

/** A HAProxy without QUIC serves the same file without HTTP/3. */
const hasQuic = async ({ path }: HaproxyBinary): Promise<boolean> =>
  /\+QUIC\b/.test((await runCommand(path, ["-vv"], { timeoutMs: 10_000 })).stdout)

/** Pages over HTTP/2 and, where both sides have it, HTTP/3; and what is to be said of the latter. */
const visitSecure = async (cast: CertificateCast, where: Secure) => {
  const { binary, origin, programs: { curl } } = cast
  const pages: Array<SecurePage> = []
  let without: string | null = null
  if ("absent" in curl) {
    without = curl.absent
    pages.push(await pageByNode(where))
  } else {
    pages.push(await pageByCurl(curl.path, "2", where))
    if (await hasQuic(binary)) pages.push(await pageByCurl(curl.path, "3", where, binary.line === "3.0"))
    else without = `HAProxy ${binary.version} was built without QUIC`
  }
  for (const page of pages) {
    prove(
      page.status === 200 && page.body === origin.text,
      `${where.site} answers 200 from origin ${origin.name}`,
      page
    )
  }
  const versions = pages.map(({ version }) => version)
  prove(String(versions) === (without === null ? "2,3" : "2"), "HTTP/2 and HTTP/3 were spoken", versions)
  return { without, by: "absent" in curl ? "Node's HTTP/2" : `curl ${curl.version}` }
}

/** Where the site is visited, by whom this certificate was signed. */
const placeOf = async (stage: Stage, rootFile: string): Promise<Secure> => ({
  port: stage.ports.https,
  site: secure,
  rootFile,
  root: await readFile(rootFile, "utf8")
})

/** The file with what visitors trust. */
export const rootOf = (stage: Stage, acme: AcmeServer | null): string =>
  acme?.root ?? join(stage.folder.root, "self-signed.pem")

/** Calls the tool and, should its work outlive the call, follows it to its end. */
const issue = async (agent: Agent, note: (text: string) => void): Promise<CertWriteAnswer> => {
  const answer = await agent.call<CertWriteAnswer>("haproxy_issue_cert", { domain: secure }, note)
  const id = answer.operation_id
  if (id === undefined) return answer
  for (;;) {
    const operation = await agent.call<OperationAnswer>("haproxy_operation", { operation_id: id, wait: 20 })
    if (operation.status === "done") return operation.result as CertWriteAnswer
    prove(operation.status === "running", "the certificate is issued", operation)
    note(operation.summary)
  }
}

/** A certificate by somebody else's hand: a file in the folder. */
const placeByHand = async (stage: Stage) => {
  const { certificate, key } = selfSigned([secure, `*.${secure}`], 90)
  await writeFile(rootOf(stage, null), certificate)
  const file = join(stage.folder.certificates, `${secure}.pem`)
  await writeFile(`${file}.new`, certificate + key, { mode: 0o600 })
  await chmod(`${file}.new`, 0o600)
  await rename(`${file}.new`, file)
}

/** See the module's head. */
export const fromNothingToHttps = async (cast: CertificateCast, note: (text: string) => void): Promise<Proof> => {
  const { acme, agent, origin, stage } = cast
  const before = await shake({ port: stage.ports.https, site: secure, root: "", rootFile: "" }).then(
    () => "TLS",
    () => ""
  )
  prove(before === "", `${secure} has no certificate yet`, before)
  if (acme === null) await placeByHand(stage)

  note(`adding ${secure}`)
  const began = performance.now()
  const added = await agent.call<AddDomainAnswer>("haproxy_add_domain", {
    domain: secure,
    ip: host,
    http_port: origin.port
  })
  prove(added.changed, "the domain is new", added)
  const asked = performance.now()
  note(acme === null ? "loading the self-signed certificate" : `acme.sh asks Pebble for ${secure} and *.${secure}`)
  const answer = acme === null
    ? await agent.call<CertWriteAnswer>("haproxy_load_cert", { domain: secure })
    : await issue(agent, note)
  const ended = performance.now()
  prove(answer.changed && answer.proved, "the certificate is new, and a handshake showed it", answer)

  // At once: what is acknowledged is served.
  const where = await placeOf(stage, rootOf(stage, acme))
  const shown = await shake(where)
  const { by, without } = await visitSecure(cast, where)
  const info = await agent.call<CertInfoAnswer>("haproxy_cert_info", { domain: secure })
  prove(info.loaded === true && info.fingerprint_sha256 === shown.fingerprint, "the tool and the handshake agree", info)
  prove(String([...shown.names].sort()) === `*.${secure},${secure}`, "it stands for the site and its wildcard", shown)
  const tool = acme === null ? "haproxy_load_cert" : "haproxy_issue_cert"
  return {
    proved: acme === null
      ? `Two calls from nothing to HTTPS on ${secure}, with a self-signed certificate`
      : `Two calls from nothing to HTTPS on ${secure}, with a certificate that Pebble issued`,
    details: [
      `haproxy_add_domain ${duration(asked - began)}, ${tool} ${duration(ended - asked)}`,
      `certificate for ${
        shown.names.join(" and ")
      }, subject ${shown.subject}, issuer ${shown.issuer}, ${shown.daysLeft} days left`,
      without === null
        ? `${by}: 200 from origin ${origin.name} over HTTP/2 and over HTTP/3 (${shown.protocol}), the chain verified`
        : `${by}: 200 from origin ${origin.name} over HTTP/2 (${shown.protocol}), the chain verified`,
      ...(without === null ? [] : [`HTTP/3 skipped, not shown: ${without}`])
    ]
  }
}

/** It is served still, with the same certificate. */
export const proveStillSecure = async (stage: Stage, acme: AcmeServer | null): Promise<void> => {
  await shake(await placeOf(stage, rootOf(stage, acme)))
}
