/**
 * Floor: the bytes that HAProxy must be sent to hold other map entries and servers, pipelined on one raw connection and
 * acknowledged, nothing checked and nothing read back.
 */
import type { RuntimeLinkFloor } from "./RuntimeLink.ts"

/** Bytes of one payload: what every supported HAProxy takes. */
const payload = 12_000

/** Replaces all entries (`KEY VALUE`) of a map by an atomic swap. */
export const rawSwap = async (link: RuntimeLinkFloor, map: string, entries: ReadonlyArray<string>): Promise<void> => {
  const version = /New version created: (\d+)/.exec(await link.exchange([`prepare map ${map}`]))?.[1]
  if (version === undefined) throw new Error(`HAProxy does not prepare ${map}`)
  const commands: Array<string> = []
  let lines: Array<string> = []
  let size = 0
  const flush = () => {
    if (lines.length > 0) commands.push(`add map @${version} ${map} <<%floor%\n${lines.join("\n")}\n%floor%`)
    lines = []
    size = 0
  }
  for (const entry of entries) {
    if (size + entry.length + 1 > payload) flush()
    lines.push(entry)
    size += entry.length + 1
  }
  flush()
  await link.exchange([...commands, `commit map @${version} ${map}`])
}

/** Fills slots: address, weight and state of each. */
export const rawServers = async (
  link: RuntimeLinkFloor,
  servers: ReadonlyArray<{ readonly pool: number; readonly slot: number; readonly port: number }>
): Promise<void> => {
  await link.exchange(servers.flatMap(({ pool, port, slot }) => {
    const name = `pool_${pool}/pool_${pool}_${slot}`
    return [
      `set server ${name} addr 127.0.0.1 port ${port}`,
      `set server ${name} weight 1`,
      `set server ${name} state ready`
    ]
  }))
}
