/**
 * Under which path HAProxy knows the folder of certificates, and in which of its crt-lists it is.
 *
 * The rule: HAPROXY_RUNTIME_CERT_DIR if set, else exactly our folder, else the one list of `show ssl crt-list` whose
 * last part is that of our folder; with HAPROXY_CRT_LIST_FILE the list of that file. Anything else is no TLS frontend
 * of ours: null, with why.
 */

/** Where certificates of ours belong in HAProxy. */
export interface Place {
  /** The folder as HAProxy names it. */
  readonly folder: string
  /** The list that new certificates are added to: the folder itself, or a crt-list file. */
  readonly list: string
  /** The list is a file, which must be kept current as well. */
  readonly isFile: boolean
}

/** What is set. */
export interface PlaceOptions {
  /** HAPROXY_CERT_DIR. */
  readonly folder: string
  /** HAPROXY_RUNTIME_CERT_DIR. */
  readonly runtimeFolder: string | null
  /** HAPROXY_CRT_LIST_FILE. */
  readonly listFile: string | null
}

/** `/etc/haproxy/certs` and `example.com.pem` → the path in commands. */
export const pathIn = (place: Place, file: string): string => `${place.folder}/${file}`
