/**
 * The certificates of one worker and the commands on them: `show|new|set|commit|abort|del ssl cert`.
 *
 * As in HAProxy there is one transaction in the whole process, whoever began it, and it survives its connection.
 * Nothing is served with them: no handshake is imitated.
 */
import { type Answer, dump, message } from "./Answer.ts"
import { type CertificateContent, describe, parsePem } from "./Certificate.ts"
import type { Parsed } from "./CommandLine.ts"
import type { CrtLists } from "./CrtLists.ts"
import type { Traits } from "./Line.ts"

/** A certificate that HAProxy knows by a path. */
export interface StoredCertificate {
  readonly path: string
  /** `undefined` after `new ssl cert`, until the first commit. */
  content: CertificateContent | undefined
  /** It was read from its file at start. */
  readonly onDisk: boolean
}

const notFound = message(3, "Can't display the certificate: Not found or the certificate is a bundle!")

/** Where it was read from; in a directory HAProxy also looks for files beside it. */
const filenames = (path: string, fromDirectory: boolean): string =>
  `Crt filename: ${path}\n${
    fromDirectory ? `Key filename: ${path}\nOCSP filename: ${path}.ocsp\nSCTL filename: ${path}.sctl\n` : ""
  }`

/** The certificates of a worker. */
export class Certificates {
  private readonly traits: Traits
  private readonly byPath = new Map<string, StoredCertificate>()
  private readonly lists: () => CrtLists
  private transaction: { readonly path: string; content: CertificateContent } | undefined

  constructor(traits: Traits, files: Iterable<readonly [string, string]>, lists: () => CrtLists) {
    this.traits = traits
    this.lists = lists
    for (const [path, text] of files) {
      const content = parsePem(text)
      if (content?.key === undefined) throw new Error(`FakeHaproxy cannot start: no certificate and key in ${path}`)
      this.byPath.set(path, { path, content, onDisk: true })
    }
  }

  get(path: string): StoredCertificate | undefined {
    return this.byPath.get(path)
  }

  /** Paths in HAProxy's order. */
  get paths(): ReadonlyArray<string> {
    return [...this.byPath.keys()].toSorted((left, right) => (left < right ? -1 : 1))
  }

  /** The path of the transaction going on, if any. */
  get pending(): string | undefined {
    return this.transaction?.path
  }

  show(words: ReadonlyArray<string>): Answer {
    const name = words[3]
    if (name === undefined) {
      if (this.byPath.size === 0) return dump("")
      const pending = this.transaction === undefined ? "" : `# transaction\n*${this.transaction.path}\n`
      return dump(`${pending}# filename\n${this.paths.map((path) => `${path}\n`).join("")}`)
    }
    const uncommitted = name.startsWith("*")
    const stored = this.byPath.get(uncommitted ? name.slice(1) : name)
    if (stored === undefined || (uncommitted && this.transaction?.path !== stored.path)) return notFound
    const content = uncommitted ? this.transaction?.content : stored.content
    const { optionsInShow, statesUncommitted } = this.traits.certificates
    const used = this.lists().uses(stored.path) > 0 ? "Used" : "Unused"
    const status = uncommitted ? (statesUncommitted ? "Uncommitted" : "Unused") : content === undefined ? "Empty" : used
    return dump([
      `Filename: ${name}\n`,
      statesUncommitted && stored.onDisk ? filenames(stored.path, this.lists().fromDirectory(stored.path)) : "",
      optionsInShow ? "Option: ocsp-update off\nOption: jwt off\n" : "",
      `Status: ${status}\n`,
      content === undefined ? "" : describe(content),
      "OCSP Response Key: \n"
    ].join(""))
  }

  create(words: ReadonlyArray<string>): Answer {
    const path = words[3]
    if (path === undefined) return message(3, "'new ssl cert' expects a filename")
    if (this.byPath.has(path)) return message(3, `Certificate '${path}' already exists!`)
    this.byPath.set(path, { path, content: undefined, onDisk: false })
    return message(5, `New empty certificate store '${path}'!`)
  }

  set({ payload, words }: Parsed): Answer {
    const path = words[3]
    if (path === undefined || payload === undefined) {
      return message(3, "'set ssl cert' expects a filename and a certificate as a payload")
    }
    const refuse = (text: string) => message(3, `${text}\nCan't update ${path}!`)
    if (this.transaction !== undefined && this.transaction.path !== path) {
      return refuse(`The ongoing transaction is about '${this.transaction.path}' but you are trying to set '${path}'`)
    }
    if (!this.byPath.has(path)) {
      return refuse("Can't replace a certificate which is not referenced by the configuration!")
    }
    const content = parsePem(payload)
    if (content === undefined) {
      return refuse(`unable to load certificate from file '${path}': no start line.\nCan't load the payload`)
    }
    const verb = this.transaction === undefined ? "created" : "updated"
    this.transaction = { path, content }
    return message(5, `Transaction ${verb} for certificate ${path}!`)
  }

  commit(words: ReadonlyArray<string>): Answer {
    const path = words[3]
    if (path === undefined) return message(3, "'commit ssl cert' expects a filename")
    const refuse = (text: string) => message(3, `${text}\nCan't commit ${path}!`)
    if (this.transaction === undefined) return refuse("No ongoing transaction! !")
    if (this.transaction.path !== path) {
      return refuse(`The ongoing transaction is about '${this.transaction.path}' but you are trying to set '${path}'`)
    }
    const { content } = this.transaction
    if (content.key === undefined) {
      if (!this.traits.certificates.commitsWithoutKey) {
        return refuse("The transaction must contain at least a certificate and a private key!")
      }
      this.transaction = undefined
      const why = `unable to load SSL private key into SSL Context '${path}': passed a null parameter.`
      return dump(`Committing ${path}\n${why}\nFailed!\n`)
    }
    if (!content.leaf.checkPrivateKey(content.key)) {
      return refuse(`inconsistencies between private key and certificate loaded '${path}'.`)
    }
    this.byPath.get(path)!.content = content
    this.transaction = undefined
    return dump(`Committing ${path}${".".repeat(this.lists().uses(path))}\nSuccess!\n`)
  }

  abort(words: ReadonlyArray<string>): Answer {
    const path = words[3]
    if (path === undefined) return message(3, "'abort ssl cert' expects a filename")
    if (this.transaction === undefined) return message(3, "No ongoing transaction!")
    if (this.transaction.path !== path) {
      return message(
        3,
        `The ongoing transaction is about '${this.transaction.path}' but you are trying to abort a transaction for '${path}'`
      )
    }
    this.transaction = undefined
    return message(5, `Transaction aborted for certificate '${path}'!`)
  }

  delete(words: ReadonlyArray<string>): Answer {
    const path = words[3]
    if (path === undefined) return message(3, "'del ssl cert' expects a certificate name")
    const refuse = (text: string) => message(3, `Can't remove the certificate: ${text}`)
    if (this.transaction?.path === path) return refuse(`ongoing transaction for the certificate '${path}'`)
    if (!this.byPath.has(path)) return refuse(`certificate '${path}' doesn't exist!`)
    if (this.lists().uses(path) > 0) return refuse(`certificate '${path}' in use, can't be deleted!`)
    this.byPath.delete(path)
    return message(5, `Certificate '${path}' deleted!`)
  }
}
