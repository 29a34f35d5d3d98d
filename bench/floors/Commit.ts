/**
 * Floor: one durable commit of the rows that adding a domain writes, by `node:sqlite` and nothing else, on a copy of
 * the same database with the same settings (WAL, `synchronous=FULL`, exclusive).
 */
import { DatabaseSync } from "node:sqlite"

/** What one addition writes. */
export interface Rows {
  readonly names: ReadonlyArray<string>
  readonly pool: number
  /** A pool of its own, with one server. */
  readonly own: boolean
}

export class CommitFloor {
  private readonly db: DatabaseSync
  private last = ""
  private commits = 1_000_000_000

  /** Opens a copy of a populated database. */
  constructor(file: string) {
    this.db = new DatabaseSync(file)
    this.db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    this.db.exec("PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864")
    const statements = {
      begin: "BEGIN IMMEDIATE",
      commit: "COMMIT",
      route: "INSERT INTO routes (name, pool, implicit, seq) VALUES (?, ?, 0, ?)",
      unroute: "DELETE FROM routes WHERE name = ?",
      count: "UPDATE pools SET routes = routes + ? WHERE pool = ?",
      own: "UPDATE pools SET owner = ? WHERE pool = ?",
      server: "INSERT INTO servers (pool, slot, ip, port, weight, state) VALUES (?, 1, '127.0.0.1', 80, 1, 'ready')",
      unserver: "DELETE FROM servers WHERE pool = ?",
      change: `INSERT INTO changes
        (change_id, revision, at, via, who, request_id, tool, summary, edits, outcome)
        VALUES (?, ?, ?, 'program', 'local', '-', 'program', ?, ?, 'pending')`,
      settle: "UPDATE changes SET outcome = 'applied' WHERE change_id = ?",
      meta: "UPDATE meta SET commits = ?, revision = ?, next_seq = ? WHERE id = 1"
    } as const
    this.run = Object.fromEntries(
      Object.entries(statements).map(([name, sql]) => {
        const statement = this.db.prepare(sql)
        return [name, (...values: ReadonlyArray<string | number | null>) => void statement.run(...values)]
      })
    ) as typeof this.run
  }

  private readonly run: Readonly<
    Record<
      "begin" | "commit" | "route" | "unroute" | "count" | "own" | "server" | "unserver" | "change" | "settle" | "meta",
      (...values: ReadonlyArray<string | number | null>) => void
    >
  >

  private change(rows: Rows): void {
    const { run } = this
    const id = crypto.randomUUID()
    const seq = this.commits++
    const edits = JSON.stringify(rows.names.map((name) => ["r", name, null, [rows.pool, 0, seq]]))
    run.change(id, seq, Date.now(), `${rows.names[0]} is routed to pool_${rows.pool}, shared with another one`, edits)
    if (this.last !== "") run.settle(this.last)
    this.last = id
    run.meta(seq, seq, seq)
    run.commit()
  }

  /** One commit that adds. */
  add(rows: Rows): void {
    const { run } = this
    run.begin()
    if (rows.own) {
      run.own(rows.names[0]!, rows.pool)
      run.server(rows.pool)
    }
    for (const name of rows.names) {
      run.route(name, rows.pool, this.commits)
      run.count(1, rows.pool)
    }
    this.change(rows)
  }

  /** One commit that takes it back. */
  remove(rows: Rows): void {
    const { run } = this
    run.begin()
    if (rows.own) {
      run.own(null, rows.pool)
      run.unserver(rows.pool)
    }
    for (const name of rows.names) {
      run.unroute(name)
      run.count(-1, rows.pool)
    }
    this.change(rows)
  }

  close(): void {
    this.db.close()
  }
}
