/** Names of changes and operations: sortable by time, unguessable enough not to be hit by accident. */
import { randomUUID } from "node:crypto"

/** `chg_` + milliseconds in base 36 + 8 random characters; sorts by time. */
export const newChangeId = (): string => `chg_${Date.now().toString(36).padStart(9, "0")}${randomUUID().slice(0, 8)}`

/** `op_` + the same. */
export const newOperationId = (): string => `op_${newChangeId().slice(4)}`
