/** The JSON Schema of `error` in a failed answer: the wire form of domain/Errors.ts. */
import type { ErrorBody, ErrorCode } from "../domain/Errors.ts"

/** Every code, in the order of docs and of importance to a caller. A new code in domain/Errors.ts must come here. */
export const errorCodes = Object.keys(
  {
    INVALID_INPUT: 0,
    NOT_FOUND: 0,
    CONFLICT: 0,
    POOL_EXHAUSTED: 0,
    BUSY: 0,
    FORBIDDEN: 0,
    HAPROXY_UNREACHABLE: 0,
    HAPROXY_REFUSED: 0,
    STORAGE_FAILED: 0,
    REMOTE_UNREACHABLE: 0,
    FENCED: 0,
    CONFIG_INVALID: 0,
    ACME_FAILED: 0,
    TIMEOUT: 0,
    OUTCOME_UNKNOWN: 0,
    CANCELLED: 0,
    INTERNAL: 0
  } satisfies Record<ErrorCode, 0>
) as ReadonlyArray<ErrorCode>

const text = (description: string) => ({ type: "string", description }) as const

const properties = {
  code: { type: "string", enum: errorCodes, description: "What kind of failure it is." },
  message: text("What happened."),
  retryable: { type: "boolean", description: "The same call may be repeated as it is." },
  field: text("The parameter at fault."),
  valid_values: {
    type: "array",
    items: { type: "string" },
    description: "What would have been accepted, or the nearest names that exist."
  },
  hint: text("What to do now."),
  change_id: text("The change that was begun; follow it with haproxy_operation.")
} satisfies Record<keyof ErrorBody, unknown>

/** See the module's head. In full, where an answer tells of the failure of another call. */
export const ErrorDocument = {
  type: "object",
  description: "Present instead of the data when the call failed.",
  properties,
  required: ["code", "message", "retryable", "hint"],
  additionalProperties: false
} as const

/** The same for the catalogue, where it stands in every tool: the server's instructions say what is in it. */
export const errorSketch = { type: "object" } as const
