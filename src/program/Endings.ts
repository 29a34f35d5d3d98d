/** How a write ends that did not end well, in words: what is known of it, and what to do now. */
import {
  Busy,
  Cancelled,
  type ControlError,
  HaproxyRefused,
  HaproxyUnreachable,
  OutcomeUnknown,
  TimedOut
} from "../domain/Errors.ts"

/** What became of a job's edits in HAProxy. */
export type Fate =
  | { readonly _tag: "live" }
  | { readonly _tag: "refused"; readonly text: string }
  | { readonly _tag: "failed"; readonly error: ControlError }
  | { readonly _tag: "lost"; readonly sent: boolean; readonly reason: string }

/** The process is going away; nothing was begun. */
export const stopped = (): ControlError =>
  new Cancelled({ message: "The server is stopping", hint: "Nothing was written. Repeat the call once it is back." })

/** Too many wait already. */
export const full = (waiting: number): ControlError =>
  new Busy({
    message: `${waiting} writes are waiting already`,
    hint: "Nothing was written. Try again in a moment."
  })

/** Others took too long: the turn did not come. */
export const noTurn = (): ControlError =>
  new TimedOut({
    message: "The deadline passed before this write's turn came",
    hint: "Nothing was written. Try again."
  })

/** HAProxy does not run the desired state, so no turn could come. */
export const notInSync = (reason: string): ControlError =>
  new HaproxyUnreachable({
    message: `HAProxy cannot take writes: ${reason}`,
    hint: "Nothing was written. Check that HAProxy runs and that its Runtime API socket is the configured one."
  })

/** The caller's deadline passed in the middle. */
export const underWay = (changeId: string): ControlError =>
  new OutcomeUnknown({
    message: "The deadline passed while the change was being made",
    hint: "Ask haproxy_operation with the change_id what became of it.",
    changeId
  })

/** Nobody knows whether the commit is on the disk. */
export const commitUncertain = (reason: string, changeId: string): ControlError =>
  new OutcomeUnknown({
    message: `The disk failed under the commit: ${reason}`,
    hint: "Ask haproxy_operation with the change_id what became of it, once the disk is well again.",
    changeId
  })

/** The inverse could not be committed. */
export const notTakenBack = (reason: string, changeId: string): ControlError =>
  new OutcomeUnknown({
    message: `The change could not be taken back: ${reason}`,
    hint: "It will be finished once the database can be written; ask haproxy_operation with the change_id.",
    changeId
  })

/** Nobody knows at the deadline whether the remote holds it: HAProxy serves it, and it stays. */
export const notPublished = (reason: string, changeId: string): ControlError =>
  new OutcomeUnknown({
    message: `HAProxy serves the change, but it is not known to be durable on the remote host: ${reason}`,
    hint: "Ask haproxy_operation with the change_id what became of it; the same call may be repeated.",
    changeId
  })

/** What every success says while the remote follows by itself. */
export const publishedLater =
  "The remote copy of the database follows (HAPROXY_REMOTE_SYNC=async): until then a loss of this machine loses this change."

/** A job that was taken back. `clean`: HAProxy was read back without it, and no file holds it. */
export const takenBack = (fate: Fate, changeId: string, clean: boolean): ControlError => {
  if (fate._tag === "refused" && clean) {
    return new HaproxyRefused({
      message: `HAProxy refused the change: ${fate.text}`,
      hint: "Nothing was changed. Compare haproxy.cfg with the settings (haproxy-mcp config prints what is needed).",
      changeId
    })
  }
  if (fate._tag === "failed" && clean) return fate.error
  if (fate._tag === "lost" && !fate.sent) {
    return new HaproxyUnreachable({
      message: `HAProxy cannot be reached: ${fate.reason}`,
      hint: "Nothing was changed. Check that HAProxy runs and that its Runtime API socket is the configured one.",
      changeId
    })
  }
  return new OutcomeUnknown({
    message: fate._tag === "lost"
      ? `HAProxy did not answer in time (${fate.reason}); the change was taken back in the database`
      : "The change was taken back in the database, but HAProxy has not confirmed that yet",
    hint: "Ask haproxy_operation with the change_id what became of it; the same call may be repeated.",
    changeId
  })
}
