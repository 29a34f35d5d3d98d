/** The wrapper with a real program, loader and C library: the machine's own shell, moved into a folder. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { copyFile, mkdir, mkdtemp, readFile, realpath, rename, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { runCommand } from "../../scripts/debian/Command.ts"
import { elfInterpreter, writeWrapper } from "../../scripts/debian/Wrapper.ts"

let base: string
let folder: string
let interpreter: string

beforeAll(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), "wrapper-")))
  folder = join(base, "with space")
  const shell = await realpath("/bin/sh")
  interpreter = await elfInterpreter(shell) ?? ""
  // "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)", one line per library
  const libraries = [...(await runCommand("ldd", [shell], { timeoutMs: 10_000 })).stdout.matchAll(/=> (\/\S+)/g)]
  const triplet = join(folder, "root/usr/lib/some-triplet")
  await mkdir(triplet, { recursive: true })
  await mkdir(join(folder, "root/usr/bin"))
  await mkdir(join(folder, "bin"))
  await copyFile(shell, join(folder, "root/usr/bin/shell"))
  await copyFile(interpreter, join(triplet, basename(interpreter)))
  for (const [, library = ""] of libraries) await copyFile(library, join(triplet, basename(library)))
  await writeFile(join(folder, "root/usr/bin/script"), `#!/bin/sh\necho "script $*"\n`, { mode: 0o755 })
})

afterAll(() => rm(base, { recursive: true, force: true }))

const output = async (program: string, ...args: ReadonlyArray<string>) => {
  const result = await runCommand(program, args, { timeoutMs: 10_000 })
  expect(result).toMatchObject({ code: 0, stderr: "" })
  return result.stdout
}

describe("the loader of a program", () => {
  it("is read from the ELF file, and is a file of this machine", async () => {
    expect(basename(interpreter)).toMatch(/^ld.*\.so\.\d+$/)
    expect(await readFile(interpreter).then((file) => file.length)).toBeGreaterThan(0)
  })

  it("does not exist for a script, and not for an empty file", async () => {
    await writeFile(join(base, "empty"), "")
    expect(await elfInterpreter(join(folder, "root/usr/bin/script"))).toBeUndefined()
    expect(await elfInterpreter(join(base, "empty"))).toBeUndefined()
  })
})

describe("a wrapped program", () => {
  it("runs with the folder's own loader and libraries, not the machine's", async () => {
    await writeWrapper(folder, "root/usr/bin/shell")
    const maps = await output(
      join(folder, "bin/shell"),
      "-c",
      "while read -r line; do echo \"$line\"; done < /proc/$$/maps"
    )
    const mapped = new Set([...maps.matchAll(/ (\/.*)$/gm)].map(([, file = ""]) => dirname(file)))
    expect([...mapped].sort()).toEqual([join(folder, "root/usr/bin"), join(folder, "root/usr/lib/some-triplet")])
  })

  it("is the very process that was started, gets its arguments unchanged and keeps its exit code", async () => {
    await writeWrapper(folder, "root/usr/bin/shell")
    const child = spawn(join(folder, "bin/shell"), ["-c", "echo $$ \"$1\" \"$2\"; exit 7", "zero", "a  b", "*"])
    const [[text], [code]] = await Promise.all([once(child.stdout, "data"), once(child, "close")])
    expect(String(text)).toBe(`${child.pid} a  b *\n`)
    expect(code).toBe(7)
  })

  it("sees the wrapper as its own name, so that it can start itself again", async () => {
    await writeWrapper(folder, "root/usr/bin/shell")
    const wrapper = join(folder, "bin/shell")
    expect(await output(wrapper, "-c", "echo \"$0\"")).toBe(`${wrapper}\n`)
    expect(await output(wrapper, "-c", "exec \"$0\" -c 'echo again \"$0\"'")).toBe(`again ${wrapper}\n`)
  })

  it("works through a link and after the folder was moved", async () => {
    await writeWrapper(folder, "root/usr/bin/shell")
    const moved = join(base, "moved")
    await rename(folder, moved)
    try {
      await symlink("moved", join(base, "link"))
      expect(await output(join(base, "link/bin/shell"), "-c", "echo \"$0\"")).toBe(`${join(moved, "bin/shell")}\n`)
    } finally {
      await rename(moved, folder)
    }
  })

  it("may be a script, which needs no loader", async () => {
    await writeWrapper(folder, "root/usr/bin/script")
    expect(await output(join(folder, "bin/script"), "x", "y")).toBe("script x y\n")
  })

  it("is refused when the packages do not hold it, or not its loader", async () => {
    await expect(writeWrapper(folder, "root/usr/bin/nothing")).rejects.toMatchObject({ reason: "BadPackage" })
    const bare = join(base, "bare")
    await mkdir(join(bare, "root"), { recursive: true })
    await copyFile(join(folder, "root/usr/bin/shell"), join(bare, "root/shell"))
    await expect(writeWrapper(bare, "root/shell")).rejects.toMatchObject({
      reason: "BadPackage",
      message: expect.stringContaining(interpreter)
    })
  })
})
