/**
 * The files of HAProxy's host as a {@link Disk}, over SFTP as OpenSSH speaks it.
 *
 * Guarantees: a call ends with its answer, with a {@link DiskError} that says what the far file system refused, or with
 * RemoteUnreachable when the link is down or is lost before the answer; then it may have happened. No call waits for a
 * link to come back, and none is repeated. A name is replaced in one step (`posix-rename@openssh.com`), or taken by
 * exactly one of many (plain rename: link and unlink in OpenSSH).
 *
 * A call sends its first request at once, so calls that are one request each happen in the order in which they were made.
 * A new file is more than one: its rename waits for its answer.
 */
import type { Stats } from "ssh2"
import type { Disk, FileStat } from "../domain/Disk.ts"
import type { Link } from "./Link.ts"
import type { Step } from "./Metrics.ts"
import { type Attempted, meaning, refused, status, statusOf } from "./SftpError.ts"
import * as Transfer from "./Transfer.ts"

export interface SftpDiskOptions {
  /** The link now; throws RemoteUnreachable when there is none. */
  readonly link: () => Link
  /** A step ended after so many milliseconds. */
  readonly took: (step: Step, ms: number) => void
}

/** One step of a disk that is reached by a link. */
type Run = <A>(step: Step, paths: ReadonlyArray<string>, work: (link: Link) => Promise<A>) => Promise<A>

const runner = ({ link, took }: SftpDiskOptions): Run => async (step, paths, work) => {
  const wrong = paths.find((path) => path.includes("\0") || !path.startsWith("/"))
  if (wrong !== undefined) throw refused("EINVAL", wrong.replaceAll("\0", "?"))
  const began = performance.now()
  const answer = await work(link())
  took(step, performance.now() - began)
  return answer
}

/** A request without an answer but "done". */
const simply = async (
  link: Link,
  path: string,
  request: (answer: (error?: Error | null) => void) => void,
  tried: Attempted = {}
): Promise<void> => {
  try {
    await link.ask(request)
  } catch (error) {
    throw await meaning(link, error, path, tried)
  }
}

const look = async (
  link: Link,
  path: string,
  request: (answer: (error?: Error | null, stats?: Stats) => void) => void
): Promise<FileStat | null> => {
  try {
    return Transfer.toStat(await link.ask<Stats>(request))
  } catch (error) {
    if (statusOf(error) === status.noSuchFile) return null
    throw await meaning(link, error, path)
  }
}

const parentOf = (path: string): string => path.replace(/\/+[^/]*\/*$/, "") || "/"

const makeFolder = async (link: Link, path: string, mode: number): Promise<void> => {
  const make = async () => {
    await link.ask((answer) => link.sftp.mkdir(path, { mode: mode & 0o777 }, answer))
    await link.ask((answer) => link.sftp.setstat(path, { mode }, answer))
  }
  try {
    await make()
    return
  } catch (error) {
    if (statusOf(error) === null) throw error
    let trouble: unknown = error
    if (statusOf(error) === status.noSuchFile && path !== "/") {
      await makeAbove(link, parentOf(path), mode & 0o777)
      try {
        await make()
        return
      } catch (again) {
        trouble = again
      }
    }
    const found = await look(link, path, (answer) => link.sftp.stat(path, answer))
    if (found?.kind === "folder" && statusOf(trouble) === status.failure) return
    throw await meaning(link, trouble, path, { taken: path })
  }
}

/** A folder on the way to another, with what the umask leaves of the mode. */
const makeAbove = async (link: Link, path: string, mode: number): Promise<void> => {
  const make = () => link.ask((answer) => link.sftp.mkdir(path, { mode }, answer))
  try {
    await make()
  } catch (error) {
    if (statusOf(error) !== status.noSuchFile || path === "/") {
      // Somebody else made it, perhaps just now.
      const found = await look(link, path, (answer) => link.sftp.stat(path, answer))
      if (found?.kind === "folder") return
      throw await meaning(link, error, path, { taken: path })
    }
    await makeAbove(link, parentOf(path), mode)
    await simply(link, path, (answer) => link.sftp.mkdir(path, { mode }, answer), { taken: path })
  }
}

/** Makes the disk. */
export const makeSftpDisk = (options: SftpDiskOptions): Disk => {
  const run = runner(options)
  return {
    isLocal: false,
    stat: (path) => run("look", [path], (link) => look(link, path, (answer) => link.sftp.stat(path, answer))),
    lstat: (path) => run("look", [path], (link) => look(link, path, (answer) => link.sftp.lstat(path, answer))),
    realpath: (path) =>
      run("look", [path], async (link) => {
        // OpenSSH resolves a path whose last part is missing as well.
        const [name, there] = await Promise.allSettled([
          link.ask<string>((answer) => link.sftp.realpath(path, answer as never)),
          link.ask<Stats>((answer) => link.sftp.stat(path, answer))
        ])
        const failed = there.status === "rejected" ? there.reason : name.status === "rejected" ? name.reason : null
        if (failed !== null) throw await meaning(link, failed, path)
        return (name as PromiseFulfilledResult<string>).value
      }),
    readlink: (path) =>
      run("look", [path], async (link) => {
        try {
          return await link.ask<string>((answer) => link.sftp.readlink(path, answer as never))
        } catch (error) {
          throw await meaning(link, error, path)
        }
      }),
    readFile: (path, largest = Infinity) => run("read", [path], (link) => Transfer.readFile(link, path, largest)),
    readdir: (path) => run("look", [path], async (link) => (await Transfer.list(link, path)).map(({ name }) => name)),
    list: (path) => run("look", [path], (link) => Transfer.list(link, path)),
    checkWritable: (folder) => run("look", [folder], (link) => Transfer.checkWritable(link, folder)),
    writeNew: (path, parts, how) => run("write", [path], (link) => Transfer.writeNew(link, path, parts, how)),
    rename: (from, to) =>
      run(
        "name",
        [from, to],
        (link) => simply(link, to, (answer) => link.sftp.ext_openssh_rename(from, to, answer), { notFolder: to })
      ),
    renameNew: (from, to) =>
      run(
        "name",
        [from, to],
        (link) => simply(link, to, (answer) => link.sftp.rename(from, to, answer), { taken: to })
      ),
    link: (existing, added) =>
      run(
        "name",
        [existing, added],
        (link) =>
          simply(link, added, (answer) => link.sftp.ext_openssh_hardlink(existing, added, answer), { taken: added })
      ),
    unlink: (path) =>
      run(
        "name",
        [path],
        (link) => simply(link, path, (answer) => link.sftp.unlink(path, answer), { notFolder: path })
      ),
    syncFolder: (path) => run("sync", [path], (link) => Transfer.syncFolder(link, path)),
    makeFolder: (path, mode) => run("name", [path], (link) => makeFolder(link, path, mode))
  }
}
