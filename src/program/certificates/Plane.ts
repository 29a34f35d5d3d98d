/** What the work on certificates is done with. */
import type { Acme } from "../../acme/Acme.ts"
import type { Listener } from "../../domain/Address.ts"
import type { CertificateFiles } from "../../haproxy/certificates/CertificateFiles.ts"
import type { PlaceOptions } from "../../haproxy/certificates/Place.ts"
import type { RuntimeApi } from "../../haproxy/RuntimeApi.ts"
import type { Store } from "../../store/Store.ts"

export interface CertificatePlane {
  readonly runtime: RuntimeApi["Service"]
  readonly store: Store["Service"]
  readonly files: CertificateFiles["Service"]
  readonly acme: Acme["Service"]
  readonly place: PlaceOptions
  /** Where HAProxy answers TLS: HAPROXY_TLS_ADDRESS; null: to be found among its listeners. */
  readonly tlsAddress: { readonly host: string; readonly port: number } | null
  /** The host of HAProxy, for listeners that are bound to every address. */
  readonly haproxyHost: string
  /** Where HAProxy listens, as last observed; empty while that is not known. */
  readonly listeners: () => ReadonlyArray<Listener>
}
