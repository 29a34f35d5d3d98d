/**
 * Floor: the Runtime API's own sequence for certificates on one kept raw connection, each as one exchange: store,
 * content, commit, entry of the list. No file, nothing read back, no handshake; a refusal is seen by its missing
 * "Success!".
 */
import type { RuntimeLinkFloor } from "./RuntimeLink.ts"

/** A certificate as HAProxy is told of it. */
export interface RawCertificate {
  /** HAProxy's path. */
  readonly path: string
  /** PEM with the key, no blank line. */
  readonly text: string
}

const contentOf = ({ path, text }: RawCertificate): ReadonlyArray<string> => [
  `set ssl cert ${path} <<%floor%\n${text.trimEnd()}\n%floor%`,
  `commit ssl cert ${path}`
]

const additionOf = (list: string, certificate: RawCertificate): ReadonlyArray<string> => [
  `new ssl cert ${certificate.path}`,
  ...contentOf(certificate),
  `add ssl crt-list ${list} ${certificate.path}`
]

const expectSuccess = (answer: string, times: number): void => {
  const found = answer.split("Success!").length - 1
  if (found !== times) throw new Error(`HAProxy did ${found} of ${times}: ${answer.slice(0, 500)}`)
}

/** New certificates, served by a list afterwards; some thousands in one exchange. */
export const rawAdd = async (
  link: RuntimeLinkFloor,
  list: string,
  certificates: ReadonlyArray<RawCertificate>
): Promise<void> => {
  const answer = await link.exchange(certificates.flatMap((one) => additionOf(list, one)))
  expectSuccess(answer, 2 * certificates.length)
}

/** Takes certificates out of the list and out of memory. */
export const rawRemove = async (
  link: RuntimeLinkFloor,
  list: string,
  paths: ReadonlyArray<string>
): Promise<void> => {
  const answer = await link.exchange(
    paths.flatMap((path) => [`del ssl crt-list ${list} ${path}`, `del ssl cert ${path}`])
  )
  const found = answer.split("deleted").length - 1
  if (found !== 2 * paths.length) {
    throw new Error(`HAProxy did ${found} of ${2 * paths.length}: ${answer.slice(0, 500)}`)
  }
}
