/** What the programs need of the world, in one name: the layers that main.ts and the tests provide. */
import type { Acme } from "../acme/Acme.ts"
import type { CertificateFiles } from "../haproxy/certificates/CertificateFiles.ts"
import type { HostControl } from "../haproxy/HostControl.ts"
import type { MapFiles } from "../haproxy/MapFiles.ts"
import type { RuntimeApi } from "../haproxy/RuntimeApi.ts"
import type { Store } from "../store/Store.ts"
import type { Certificates } from "./certificates/Certificates.ts"
import type { Limits } from "./Limits.ts"
import type { Operations } from "./Operations.ts"
import type { PoolAllocator } from "./PoolAllocator.ts"
import type { Tokens } from "./Tokens.ts"

/** Requirements of every program. */
export type ProgramServices =
  | Store
  | RuntimeApi
  | MapFiles
  | CertificateFiles
  | HostControl
  | Acme
  | Limits
  | PoolAllocator
  | Certificates
  | Operations
  | Tokens
