/**
 * Which files of a folder HAProxy loads as certificates, and what they are called here.
 *
 * Seen on 3.0, 3.2 and 3.4 with `crt FOLDER`: every regular file, also through a link, whatever its extension; not
 * those that begin with a dot, not folders, and not the parts that lie beside a certificate. One file that cannot be
 * loaded keeps HAProxy from starting.
 */

/** `example.com.pem.key` beside `example.com.pem`, and so on: HAProxy takes these as parts of another file. */
const parts = [".key", ".ocsp", ".sctl", ".issuer"] as const

const extension = ".pem"

/** Is it the name of a file, and one that may stand in an answer, in a log and in a list of HAProxy? */
export const isSafeName = (name: string): boolean =>
  /^[!-.0-~]+$/.test(name) && !name.startsWith(".") && name.length <= 255

/** Would HAProxy load a file of this name? */
export const isLoaded = (file: string): boolean => isSafeName(file) && !parts.some((part) => file.endsWith(part))

/** A certificate's name: that of its file without `.pem`; of a file with another extension the whole name. */
export const nameOf = (file: string): string =>
  file.endsWith(extension) && file.length > extension.length ? file.slice(0, -extension.length) : file

/** Files that may hold a certificate of a name, the first that is there counts. */
export const filesOf = (name: string): ReadonlyArray<string> =>
  name.endsWith(extension) ? [ownFile(name)] : [ownFile(name), name]

/** The file that a certificate of a name is written to when there is none. */
export const ownFile = (name: string): string => `${name}${extension}`

/** Where HAProxy looks for the key of a file that holds none (`ssl-load-extra-files key`, which is the default). */
export const keyFile = (file: string): string => `${file}.key`
