/**
 * Bugs on purpose: each is built into a copy of the sources, and a campaign has to catch it. A campaign that lets one
 * pass proves nothing.
 */
import { spawn } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface Plant {
  readonly name: string
  readonly what: string
  /** The campaign that must catch it. */
  readonly campaign: string
  readonly file: string
  /** Not built in by the tests of CI, where another one of the same campaign is. */
  readonly byHand?: true
  /** Each text must stand in the file exactly once. */
  readonly changes: ReadonlyArray<readonly [from: string, to: string]>
}

export const plants: ReadonlyArray<Plant> = [
  {
    name: "no-folder-sync",
    what: "a replaced file's folder is not flushed after the rename",
    campaign: "power",
    file: "src/haproxy/files/LocalDisk.ts",
    changes: [["    await fsync(fd)\n  } finally {\n    close(fd)", "  } finally {\n    close(fd)"]]
  },
  {
    name: "no-read-back",
    what: "what HAProxy was told is not read back",
    campaign: "points",
    file: "src/program/Stages.ts",
    changes: [
      ["return read === value ? \"ok\" :", "return read !== undefined ? \"ok\" :"],
      [
        "return met === expected.size ? \"ok\" :",
        "return met >= 0 ? \"ok\" :"
      ],
      ["if (row.ip !== want.ip || row.port !== want.port || row.userWeight !== want.weight) return \"again\"", ""],
      ["if (want.state !== null && row.state !== want.state) return \"again\"", ""],
      ["((found as Result.Success<string | null, never>).success === null ? \"ok\" : \"again\")", "\"ok\""]
    ]
  },
  {
    name: "synchronous-normal",
    what: "SQLite runs with synchronous=NORMAL, so a commit is not flushed",
    campaign: "power",
    file: "src/store/Database.ts",
    changes: [[
      "setPragma(db, file, \"synchronous\", \"FULL\", 2)",
      "setPragma(db, file, \"synchronous\", \"NORMAL\", 1)"
    ]]
  },
  {
    name: "no-certificate-sweep",
    what: "what a killed install left in the folder of certificates stays there",
    campaign: "certificates",
    file: "src/haproxy/certificates/CertificateFiles.ts",
    changes: [["swept ??= sweepFolder(disk, folder)", "swept ??= Promise.resolve()"]]
  },
  {
    name: "no-acme-sweep",
    what: "acme.sh runs on when its control plane was killed, and keeps its folder with the key",
    campaign: "certificates",
    file: "src/acme/RunFolder.ts",
    byHand: true,
    changes: [["!isAbandoned(folder)) continue", "folder !== \"\") continue"]]
  },
  {
    name: "no-remote-folder-sync",
    what: "a folder of the other host is not flushed after a file got its name there",
    campaign: "far-power",
    file: "src/remote/SftpDisk.ts",
    byHand: true,
    changes: [["(link) => Transfer.syncFolder(link, path)", "() => Promise.resolve()"]]
  },
  {
    name: "no-compare-and-swap",
    what: "a generation takes its number by a rename that replaces what is there",
    campaign: "three-writers",
    file: "src/remote/SftpDisk.ts",
    byHand: true,
    changes: [["link.sftp.rename(from, to, answer)", "link.sftp.ext_openssh_rename(from, to, answer)"]]
  }
]

const root = join(import.meta.dirname, "..", "..")

const patched = (text: string, { changes, file, name }: Plant): string => {
  let next = text
  for (const [from, to] of changes) {
    if (next.split(from).length !== 2) {
      throw new Error(`${name} does not fit ${file} any more: it must contain this once, and does not:\n${from}`)
    }
    next = next.replace(from, () => to)
  }
  return next
}

/** Copies the sources with the bug in them, runs its campaign there, and answers whether it was caught. */
export const caught = async (plant: Plant, args: ReadonlyArray<string>): Promise<boolean> => {
  const folder = mkdtempSync(join(tmpdir(), "haproxy-mcp-planted-"))
  try {
    for (const part of ["src", "test", "scripts", "package.json", "tsconfig.json"]) {
      cpSync(join(root, part), join(folder, part), { recursive: true })
    }
    for (const part of ["node_modules", ".cache"]) symlinkSync(join(root, part), join(folder, part))
    const file = join(folder, plant.file)
    writeFileSync(file, patched(readFileSync(file, "utf8"), plant))
    const main = join(folder, "test", "campaign", "main.ts")
    const child = spawn(process.execPath, [main, "--only", plant.campaign, "--first", "--results", folder, ...args], {
      stdio: "inherit"
    })
    const stop = () => child.kill("SIGTERM")
    process.on("SIGTERM", stop)
    process.on("SIGINT", stop)
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve))
    // 1 is the campaign's answer for a broken promise; anything else is no answer.
    if (code !== 0 && code !== 1) throw new Error(`the campaign ended with ${code}`)
    return code === 1
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}
