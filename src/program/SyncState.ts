/** What the actor knows of HAProxy being as desired, for health, readiness and the log. */

/** What the reconciler knows. */
export interface SyncState {
  /** HAProxy is known to run the desired state, in this epoch. */
  readonly inSync: boolean
  /** Why not, or an empty text. */
  readonly reason: string
  /** Milliseconds since 1970 of the last full comparison. */
  readonly lastRunAt: number | null
  readonly lastDrift: number
  /** Entries in HAProxy's maps that are not ours. */
  readonly foreign: number
  /** What is not as it should be and cannot be repaired from here. */
  readonly problems: ReadonlyArray<string>
}

/** Nothing is known yet, or not any more. */
export const notSynced = (reason: string): SyncState => ({
  inSync: false,
  reason,
  lastRunAt: null,
  lastDrift: 0,
  foreign: 0,
  problems: []
})
