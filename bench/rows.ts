/** All rows, in the order in which they run. */
import type { Row } from "./Row.ts"
import { addInProcess } from "./rows/AddInProcess.ts"
import { addOverMcp } from "./rows/AddOverMcp.ts"
import { againstCaddy, againstNginx } from "./rows/AgainstPeer.ts"
import { certificatesAdd } from "./rows/CertificatesAdd.ts"
import { certificatesAgainstCaddy, certificatesAgainstNginx } from "./rows/CertificatesAgainstPeers.ts"
import { certificatesMemory } from "./rows/CertificatesMemory.ts"
import { certificatesRestore } from "./rows/CertificatesRestore.ts"
import { importRow } from "./rows/Import.ts"
import { manyCallers, manyCallersOverMcp } from "./rows/ManyCallers.ts"
import { memory } from "./rows/Memory.ts"
import { readOverMcp } from "./rows/ReadOverMcp.ts"
import { reconcileRow } from "./rows/Reconcile.ts"
import { remoteAdd, remoteManyClients } from "./rows/RemoteAdd.ts"
import { remoteUpload } from "./rows/RemoteUpload.ts"
import { renewalsUnderLoad } from "./rows/RenewalsUnderLoad.ts"
import { start } from "./rows/Start.ts"
import { underLoad } from "./rows/UnderLoad.ts"

export const rows: ReadonlyArray<Row> = [
  addInProcess,
  addOverMcp,
  readOverMcp,
  againstCaddy,
  againstNginx,
  manyCallers,
  manyCallersOverMcp,
  importRow,
  reconcileRow,
  underLoad,
  memory,
  start,
  certificatesAdd,
  certificatesAgainstCaddy,
  certificatesAgainstNginx,
  certificatesRestore,
  renewalsUnderLoad,
  certificatesMemory,
  remoteAdd,
  remoteManyClients,
  remoteUpload
]
