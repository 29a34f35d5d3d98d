/**
 * What backups are called, and which of them stay.
 *
 * `haproxy_mcp-20261128T134500Z-r17.db` is the database `haproxy_mcp.db` of revision 17, copied at that second (UTC); a
 * second one of the same second and revision ends with `-2`. Its checksum, as `sha256sum -c` reads it, stands beside it in
 * the same name with `.sha256`. Nothing that is called otherwise is ours. Pure.
 */

/** One backup in a folder. */
export interface BackupName {
  readonly name: string
  /** Milliseconds since 1970, whole seconds. */
  readonly at: number
  readonly revision: number
  /** 1, or higher where several were made in one second. */
  readonly index: number
}

/** How many backups stay. */
export interface Retention {
  /** At most so many; 0: no bound. */
  readonly keep: number
  /** None older than so many days, but for the newest {@link least}; 0: no bound. */
  readonly days: number
}

/**
 * So many are not removed for their age alone: after a time without backups the first new one, of a database that may have
 * been emptied meanwhile, must not be the end of all others.
 */
export const least = 3

const day = 86_400_000

/** `20261128T134500Z` */
export const stamp = (at: number): string => new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, "")

/** The name of a backup. `base`: the database's file name without its ending. */
export const nameOf = (base: string, at: number, revision: number, index: number): string =>
  `${base}-${stamp(at)}-r${revision}${index === 1 ? "" : `-${index}`}.db`

/** The checksum file of a backup. */
export const sumOf = (name: string): string => `${name}.sha256`

/** Reads a name; null when it is none of ours. */
export const parseName = (base: string, name: string): BackupName | null => {
  if (!name.startsWith(`${base}-`)) return null
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-r(\d{1,15})(?:-(\d{1,4}))?\.db$/.exec(
    name.slice(base.length + 1)
  )
  if (match === null) return null
  const [, year, month, date, hour, minute, second, revision, index] = match
  const at = Date.parse(`${year}-${month}-${date}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(at) ? null : { name, at, revision: Number(revision), index: Number(index ?? 1) }
}

/** Newest first. */
export const newestFirst = (a: BackupName, b: BackupName): number =>
  b.at - a.at || b.revision - a.revision || b.index - a.index

/** What to remove after a backup was made. */
export interface Pruning {
  readonly remove: ReadonlyArray<string>
  /** From the future: made while a clock was wrong. Neither counted nor removed. */
  readonly future: ReadonlyArray<string>
}

/**
 * Which of `found` go, `made` being the one of just now: it stays whatever the clocks say. A clock that was set back makes
 * others look younger than they are, never older.
 */
export const prune = (
  found: ReadonlyArray<BackupName>,
  made: string,
  now: number,
  { days, keep }: Retention
): Pruning => {
  const others = found.filter(({ name }) => name !== made).sort(newestFirst)
  const future = others.filter(({ at }) => at > now + day)
  const past = others.filter(({ at }) => at <= now + day)
  // The one just made is number 0.
  const goes = ({ at }: BackupName, index: number) =>
    (keep > 0 && index + 1 >= keep) || (days > 0 && index + 1 >= least && now - at > days * day)
  return { remove: past.filter(goes).map(({ name }) => name), future: future.map(({ name }) => name) }
}
