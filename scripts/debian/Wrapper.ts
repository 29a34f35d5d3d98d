/**
 * Makes a program from unpacked packages runnable on a machine with an older (or newer) C library: a small script
 * `<folder>/bin/<program>` that starts the program with the folder's own dynamic loader and libraries.
 *
 * - It `exec`s, so its process id is the program's own: signals, SIGSTOP and exit codes are the program's.
 * - It finds its folder from its own path, so the folder may be moved or reached through a symbolic link.
 * - The program sees the script as `argv[0]` (glibc's `--argv0`, 2.33 and later), so one that re-executes itself, as
 *   HAProxy's master does at a reload, comes back through the script.
 * - Nothing is put into the environment, so children run with the machine's libraries.
 *
 * Limits: the process is named after the loader in `ps` and `/proc/<pid>/comm`, and `/proc/<pid>/exe` is the loader;
 * a helper that the program starts by an absolute path (`/usr/lib/…`) is looked for on the machine, not in the folder.
 */
import { type FileHandle, open, readdir, stat, writeFile } from "node:fs/promises"
import { basename, join, relative } from "node:path"
import { FetchFailure } from "./FetchFailure.ts"

/** ELF program header type of the segment that names the dynamic loader (elf(5)). */
const PT_INTERP = 3

/**
 * The dynamic loader that an ELF file asks for, such as `/lib64/ld-linux-x86-64.so.2`; `undefined` for a static
 * program or a script. Reads both word sizes and both byte orders.
 */
export const elfInterpreter = async (file: string): Promise<string | undefined> => {
  await using handle = await open(file, "r")
  const header = await readAt(handle, 0, 64)
  if (header.length < 52 || header.toString("latin1", 0, 4) !== "\x7fELF") return undefined
  const wide = header[4] === 2
  const little = header[5] === 1
  const u16 = (buffer: Buffer, at: number) => little ? buffer.readUInt16LE(at) : buffer.readUInt16BE(at)
  const u32 = (buffer: Buffer, at: number) => little ? buffer.readUInt32LE(at) : buffer.readUInt32BE(at)
  const word = (buffer: Buffer, at: number) =>
    wide ? Number(little ? buffer.readBigUInt64LE(at) : buffer.readBigUInt64BE(at)) : u32(buffer, at)
  const tableAt = word(header, wide ? 32 : 28)
  const entrySize = u16(header, wide ? 54 : 42)
  const table = await readAt(handle, tableAt, entrySize * u16(header, wide ? 56 : 44))
  for (let at = 0; at + entrySize <= table.length; at += entrySize) {
    if (u32(table, at) !== PT_INTERP) continue
    const name = await readAt(handle, word(table, at + (wide ? 8 : 4)), word(table, at + (wide ? 32 : 16)))
    return name.toString("latin1").replace(/\0.*$/s, "")
  }
  return undefined
}

const readAt = async (handle: FileHandle, position: number, length: number): Promise<Buffer> => {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await handle.read(buffer, 0, length, position)
  return buffer.subarray(0, bytesRead)
}

/**
 * The text of a wrapper. All paths are relative to the folder that holds `bin/`. Without a loader (a static program,
 * a script) the program is started as it is.
 */
export const wrapperScript = (
  program: string,
  loader?: { readonly path: string; readonly libraries: ReadonlyArray<string> }
): string =>
  [
    "#!/bin/sh",
    `# Runs ${program}${loader === undefined ? "" : " with the loader and libraries beside it"}.`,
    `self=$(readlink -f -- "$0") || exit 127`,
    "here=${self%/bin/*}",
    loader === undefined
      ? `exec "$here/${program}" "$@"`
      : [
        `exec "$here/${loader.path}" --argv0 "$self"`,
        `--library-path "${loader.libraries.map((library) => `$here/${library}`).join(":")}"`,
        `"$here/${program}" "$@"`
      ].join(" \\\n  "),
    ""
  ].join("\n")

/**
 * Writes `<folder>/bin/<name of program>` for `program`, a path inside `folder` that begins with `root/`. Fails
 * `BadPackage` when the program is not there, or needs a loader that is not in the folder.
 */
export const writeWrapper = async (folder: string, program: string): Promise<void> => {
  const target = join(folder, program)
  const found = await stat(target).catch(() => undefined)
  if (found?.isFile() !== true) {
    throw new FetchFailure(
      "BadPackage",
      `the packages hold no ${program.replace(/^root\//, "")}`,
      "The package has moved its program: correct the path in scripts/debian/Catalogue.ts or scripts/haproxy.ts."
    )
  }
  const interpreter = await elfInterpreter(target)
  const loader = interpreter === undefined ? undefined : await findLoader(folder, basename(interpreter))
  if (interpreter !== undefined && loader === undefined) {
    throw new FetchFailure(
      "BadPackage",
      `${program} needs the loader ${interpreter}, which the packages do not hold`,
      "Add libc6 to the packages that are fetched."
    )
  }
  await writeFile(join(folder, "bin", basename(program)), wrapperScript(program, loader), { mode: 0o755 })
}

/**
 * The loader's real file and the library folders beside it. Debian keeps it in the folder of the machine's triplet
 * (`usr/lib/x86_64-linux-gnu`, before trixie `lib/…`); the links to it elsewhere may be absolute, so useless here.
 */
const findLoader = async (folder: string, name: string) => {
  for (const parent of ["root/usr/lib", "root/lib"]) {
    for (const triplet of await readdir(join(folder, parent)).catch(() => [])) {
      const path = join(folder, parent, triplet, name)
      if ((await stat(path).catch(() => undefined))?.isFile() !== true) continue
      const libraries: Array<string> = []
      for (const library of [`root/usr/lib/${triplet}`, `root/lib/${triplet}`]) {
        if ((await stat(join(folder, library)).catch(() => undefined))?.isDirectory() === true) libraries.push(library)
      }
      return { path: relative(folder, path), libraries }
    }
  }
  return undefined
}
