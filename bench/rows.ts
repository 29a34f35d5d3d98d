/** All rows, in the order in which they run. */
import type { Row } from "./Row.ts"
import { addInProcess } from "./rows/AddInProcess.ts"
import { addOverMcp } from "./rows/AddOverMcp.ts"
import { againstCaddy, againstNginx } from "./rows/AgainstPeer.ts"
import { manyCallers, manyCallersOverMcp } from "./rows/ManyCallers.ts"
import { readOverMcp } from "./rows/ReadOverMcp.ts"

export const rows: ReadonlyArray<Row> = [
  addInProcess,
  addOverMcp,
  readOverMcp,
  againstCaddy,
  againstNginx,
  manyCallers,
  manyCallersOverMcp
]
