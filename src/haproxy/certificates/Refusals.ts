/** HAProxy's refusals about certificates as errors, with what an operator does about each. No key is ever in one. */
import * as Redacted from "effect/Redacted"
import { ConfigInvalid, HaproxyRefused } from "../../domain/Errors.ts"
import type { Capabilities } from "../Capabilities.ts"
import { otherTransaction } from "../CertificateCommands.ts"
import { isWord } from "../Cli.ts"
import { isDefault } from "../CrtListCommands.ts"
import { oneBuffer } from "../InfoCommands.ts"
import type { CertificateBundle } from "./Bundle.ts"

const hintFor = (text: string): string => {
  const other = otherTransaction(text)
  if (other !== null) {
    return `Somebody else is changing ${other} in HAProxy: let them finish, or give \`abort ssl cert ${other}\`.`
  }
  if (isDefault(text)) {
    return "It answers names that no certificate stands for. Add `strict-sni` to the bind and reload HAProxy; then no certificate is the default one."
  }
  if (text.includes("inconsistencies between private key and certificate")) {
    return "The private key is another certificate's: put the two that belong together into the file."
  }
  if (/no start line|Can't load the payload|unable to load/.test(text)) {
    return "The file must hold a certificate, its chain and its private key without a password, as PEM."
  }
  if (text.includes("in use, can't be deleted")) {
    return "Another crt-list of HAProxy has it as well: take it out there first."
  }
  return "What served before goes on serving. Look at HAProxy's log."
}

/** A refusal of one step: `set ssl cert` of `example.com.pem`, and HAProxy's words. */
export const refusedStep = (file: string, text: string): HaproxyRefused =>
  new HaproxyRefused({ message: `HAProxy refuses ${file}: ${text}`, hint: hintFor(text) })

/** HAProxy said yes, and what it shows afterwards is something else. */
export const notAsSent = (file: string, what: string): HaproxyRefused =>
  new HaproxyRefused({
    message: `HAProxy does not hold ${file} as it was sent: ${what}`,
    hint: "Somebody else may be changing certificates in HAProxy at the same time. Try again."
  })

/** Longer than two buffers of the default size, and of three times that: see InfoCommands.ts on 3.4.7. */
const safeAgain = 100_000
/** Text between the blocks of a PEM is no part of it. */
const filler = ".".repeat(76)

/** Lines of the payload, or why it cannot be sent at all. Nothing was sent. */
export const payloadOf = (
  path: string,
  file: string,
  bundle: CertificateBundle,
  { maxWhole }: Capabilities
): ReadonlyArray<string> | ConfigInvalid => {
  if (!isWord(path)) {
    return new ConfigInvalid({
      message: `The path ${path.slice(0, 200)} cannot be written in a Runtime API command`,
      hint: "Use letters, digits, dots, dashes and underscores in the name of the file and of its folder."
    })
  }
  const lines = Redacted.value(bundle.lines)
  // With the words of the command, its terminator and the newlines around the lines.
  const size = lines.reduce((sum, line) => sum + line.length + 1, path.length + 40)
  if (size > maxWhole) {
    return new ConfigInvalid({
      message:
        `${file} has ${size} bytes with its chain and its key, and the Runtime API of this HAProxy takes ${maxWhole}`,
      hint:
        "Use an elliptic-curve key, fewer names or a shorter chain, or HAProxy 3.4, which takes 120,000 bytes. A reload of HAProxy loads a file of any size."
    })
  }
  const missing = size > oneBuffer ? Math.ceil(Math.max(0, safeAgain - size) / (filler.length + 1)) : 0
  return missing === 0 ? lines : [...Array.from({ length: missing }, () => filler), ...lines]
}
