/** The table of lives: which process committed from which number on (domain/Lineage.ts). */
import { type Life, maxLives } from "../domain/Lineage.ts"
import type { Database } from "./Database.ts"

/** A name for the time of one process as the writer. */
export const newLife = (): string => crypto.randomUUID()

/** Oldest first. */
export const all = (db: Database): ReadonlyArray<Life> =>
  db.arrays("SELECT life, first_commit FROM lives ORDER BY id").map(([life, first]) => ({
    life: life as string,
    first: first as number
  }))

/** Notes that a life begins with a commit; to be run inside that commit. Drops the oldest beyond the bound. */
export const begin = (db: Database, life: string, commits: number): void => {
  db.run("INSERT INTO lives (life, first_commit) VALUES (?, ?)", life, commits)
  db.run("DELETE FROM lives WHERE id <= (SELECT max(id) FROM lives) - ?", maxLives)
}
