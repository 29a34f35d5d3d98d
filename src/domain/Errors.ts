/**
 * The typed errors of the control plane: one class per thing an operator (or an agent) does differently.
 *
 * Each carries a `message` (what happened), a `hint` (what to do now) and knows its `code` and whether the
 * same call may be repeated as it is (`retryable`). Anything that is not here is a defect and is reported as
 * INTERNAL without its text. No error ever holds a secret: messages are built from decoded input only.
 */
import * as Schema from "effect/Schema"

const fields = {
  /** What happened, in one sentence. */
  message: Schema.String,
  /** What to do about it, in one sentence. */
  hint: Schema.String,
  /** The input field that is at fault. */
  field: Schema.optionalKey(Schema.String),
  /** What would have been accepted, or the nearest names that exist. */
  validValues: Schema.optionalKey(Schema.Array(Schema.String)),
  /** The change that this error speaks of, when one was begun. */
  changeId: Schema.optionalKey(Schema.String)
}

/** Input breaks a rule. Nothing was tried. */
export class InvalidInput extends Schema.TaggedError<InvalidInput>()("InvalidInput", fields) {
  readonly code = "INVALID_INPUT"
  readonly retryable = false
}

/** The named thing does not exist; `validValues` lists the nearest names. */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", fields) {
  readonly code = "NOT_FOUND"
  readonly retryable = false
}

/** The desired state asked for contradicts one that exists. */
export class Conflict extends Schema.TaggedError<Conflict>()("Conflict", fields) {
  readonly code = "CONFLICT"
  readonly retryable = false
}

/** No free pool or slot is left. */
export class PoolExhausted extends Schema.TaggedError<PoolExhausted>()("PoolExhausted", fields) {
  readonly code = "POOL_EXHAUSTED"
  readonly retryable = false
}

/** The write queue is full. Nothing was written. */
export class Busy extends Schema.TaggedError<Busy>()("Busy", fields) {
  readonly code = "BUSY"
  readonly retryable = true
}

/** The object is not ours, or the caller may not do this. */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", fields) {
  readonly code = "FORBIDDEN"
  readonly retryable = false
}

/** HAProxy cannot be reached, or its state is not known yet. Nothing was changed. */
export class HaproxyUnreachable extends Schema.TaggedError<HaproxyUnreachable>()("HaproxyUnreachable", fields) {
  readonly code = "HAPROXY_UNREACHABLE"
  readonly retryable = true
}

/** HAProxy answered, and the answer was no. The change was taken back. */
export class HaproxyRefused extends Schema.TaggedError<HaproxyRefused>()("HaproxyRefused", fields) {
  readonly code = "HAPROXY_REFUSED"
  readonly retryable = false
}

/** The database or a file could not be written or read. The change was taken back. */
export class StorageFailed extends Schema.TaggedError<StorageFailed>()("StorageFailed", fields) {
  readonly code = "STORAGE_FAILED"
  readonly retryable = true
}

/** The remote host does not answer, or the database there is not known yet. Nothing was changed. */
export class RemoteUnreachable extends Schema.TaggedError<RemoteUnreachable>()("RemoteUnreachable", fields) {
  readonly code = "REMOTE_UNREACHABLE"
  readonly retryable = true
}

/** Another control plane writes now, or the copies of the database contradict each other: this one only reads. */
export class Fenced extends Schema.TaggedError<Fenced>()("Fenced", fields) {
  readonly code = "FENCED"
  readonly retryable = false
}

/** The settings or HAProxy's configuration do not allow this. */
export class ConfigInvalid extends Schema.TaggedError<ConfigInvalid>()("ConfigInvalid", fields) {
  readonly code = "CONFIG_INVALID"
  readonly retryable = false
}

/** The CA, acme.sh or the DNS provider did not give a certificate. What served before goes on serving. */
export class AcmeFailed extends Schema.TaggedError<AcmeFailed>()("AcmeFailed", {
  ...fields,
  /** The same call may help later (the CA is down), or not (it refuses the name). */
  retryable: Schema.Boolean
}) {
  readonly code = "ACME_FAILED"
}

/** The call's deadline passed before its turn came. Nothing was written. */
export class TimedOut extends Schema.TaggedError<TimedOut>()("TimedOut", fields) {
  readonly code = "TIMEOUT"
  readonly retryable = true
}

/** At the deadline it is not known whether the change took effect; `changeId` follows it. */
export class OutcomeUnknown extends Schema.TaggedError<OutcomeUnknown>()("OutcomeUnknown", fields) {
  readonly code = "OUTCOME_UNKNOWN"
  readonly retryable = true
}

/** The caller went away before its turn. Nothing was written. */
export class Cancelled extends Schema.TaggedError<Cancelled>()("Cancelled", fields) {
  readonly code = "CANCELLED"
  readonly retryable = true
}

/** A defect of ours. The log has the details under the same request id. */
export class Internal extends Schema.TaggedError<Internal>()("Internal", fields) {
  readonly code = "INTERNAL"
  readonly retryable = false
}

/** Why a file of HAProxy's host could not be read or written: its disk refused, or the host was lost on the way. */
export type FileFailure = StorageFailed | RemoteUnreachable

/** Every error that a tool, the CLI or a layer of ours can answer. */
export type ControlError =
  | InvalidInput
  | NotFound
  | Conflict
  | PoolExhausted
  | Busy
  | Forbidden
  | HaproxyUnreachable
  | HaproxyRefused
  | StorageFailed
  | RemoteUnreachable
  | Fenced
  | ConfigInvalid
  | AcmeFailed
  | TimedOut
  | OutcomeUnknown
  | Cancelled
  | Internal

/** The codes of {@link ControlError}, as clients see them. */
export type ErrorCode = ControlError["code"]

/** The wire form of an error: `{code, message, retryable, field?, valid_values?, hint, change_id?}`. */
export interface ErrorBody {
  readonly code: ErrorCode
  readonly message: string
  readonly retryable: boolean
  readonly field?: string
  readonly valid_values?: ReadonlyArray<string>
  readonly hint: string
  readonly change_id?: string
}

/** Encodes an error for a client. */
export const toBody = (error: ControlError): ErrorBody => ({
  code: error.code,
  message: error.message,
  retryable: error.retryable,
  ...(error.field === undefined ? {} : { field: error.field }),
  ...(error.validValues === undefined ? {} : { valid_values: error.validValues }),
  hint: error.hint,
  ...(error.changeId === undefined ? {} : { change_id: error.changeId })
})
