/** Ids of requests: unique in a process and, by their random prefix, between processes and restarts. */
import { randomBytes } from "node:crypto"

const prefix = randomBytes(5).toString("base64url").replaceAll("-", "0").replaceAll("_", "1")
let last = 0

/** A new id, such as `k3Zf0aQ-1c`. */
export const newRequestId = (): string => `${prefix}-${(++last).toString(36)}`
