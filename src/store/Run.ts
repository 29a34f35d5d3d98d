/**
 * The commits that are not durable elsewhere yet, as changesets: one unbroken run from a commit up to the last one.
 *
 * Guarantees: a step is the difference between two committed contents, never a part of a transaction, never what was rolled
 * back (a session compares with what is there when it is asked, and it is asked right after COMMIT). What cannot be told as a
 * step breaks the run: then it begins again at the last commit, and a whole copy has to lead there. Memory is bounded by
 * {@link largest}. Not here: the connection, which ends its session when it is made anew.
 */
import type { Session } from "node:sqlite"
import type { Database } from "./Database.ts"
import { sizeOf, type Step } from "./DeltaFrame.ts"

/** Bytes of changesets that wait; more than that is a whole copy's work. */
const largest = 8 << 20

/** Rows that one commit changes before its changeset is not even made: an import is shipped as a whole copy. */
const mostRows = 20_000

export class Run {
  readonly #db: Database
  #session: Session | null = null
  #steps: Array<Step> = []
  #size = 0
  /** The commit where the run begins. */
  #from = 0
  #rows = 0

  constructor(db: Database) {
    this.#db = db
  }

  /** Begins anew at a commit: nothing before it can be told. */
  begin(commits: number): void {
    this.#steps = []
    this.#size = 0
    this.#from = commits
    this.#listen()
  }

  /** A transaction has ended in COMMIT. */
  committed(from: number, to: number): void {
    const changeset = this.#changeset()
    if (changeset === null || this.#size + changeset.byteLength > largest) return this.begin(to)
    const step: Step = { from, to, changeset }
    this.#size += sizeOf(step)
    this.#steps.push(step)
    this.#listen()
  }

  /** A transaction that wrote was taken back: the session would remember its rows for nothing. */
  rolledBack(): void {
    this.#listen()
  }

  /** The steps after a commit; null where the run does not lead from it. */
  after(commits: number): ReadonlyArray<Step> | null {
    if (commits === this.#from) return this.#steps
    const index = this.#steps.findIndex((step) => step.from === commits)
    return index < 0 ? null : this.#steps.slice(index)
  }

  /** What leads up to a commit need not be told any more. */
  forget(commits: number): void {
    const index = this.#steps.findIndex((step) => step.to > commits)
    const gone = index < 0 ? this.#steps : this.#steps.slice(0, index)
    if (gone.length === 0) return
    this.#from = gone.at(-1)!.to
    this.#steps = this.#steps.slice(gone.length)
    this.#size = this.#steps.reduce((sum, step) => sum + sizeOf(step), 0)
  }

  /** What was written since {@link Run.#listen}; null when that is too much, or cannot be told. */
  #changeset(): Uint8Array | null {
    try {
      return this.#session === null || this.#totalRows() - this.#rows > mostRows ? null : this.#session.changeset()
    } catch {
      return null
    }
  }

  /** Rows that this connection changed since it was made. */
  #totalRows(): number {
    return Number(this.#db.get("SELECT total_changes() AS n")?.["n"])
  }

  /** Never throws: COMMIT has succeeded, and a run that cannot go on is only broken. */
  #listen(): void {
    try {
      this.#session?.close()
    } catch {
      // The connection is gone, and the session with it.
    }
    this.#session = null
    try {
      this.#rows = this.#totalRows()
      this.#session = this.#db.session()
    } catch {
      // The next commit begins a new run.
    }
  }
}
