/** The scripts of another host in the shells that may be /bin/sh there, without SSH: pipes are what sshd gives them. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { execFileSync, spawn } from "node:child_process"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ensureProgram } from "../../../scripts/debian/Catalogue.ts"
import * as Look from "../../../src/acme/far/Look.ts"
import { readSaid, runScript, sweepScript } from "../../../src/acme/far/RunScript.ts"
import { scripted } from "../../../src/acme/far/Script.ts"
import { processes } from "../../../src/acme/RunFolder.ts"
import { available } from "../../support/Available.ts"
import { becomes } from "../../support/Poll.ts"

const root = mkdtempSync(join(tmpdir(), "haproxy-mcp-scripts-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const busybox = (await ensureProgram("busybox")).path
/** Every program that busybox has, in its own form: hosts with its shell have nothing else. */
const applets = join(root, "applets")
mkdirSync(applets)
execFileSync(busybox, ["--install", "-s", applets])

/** A shell, and where its programs are. */
interface Shell {
  readonly command: ReadonlyArray<string>
  readonly path: string
}

const usual = process.env["PATH"] ?? ""
const shells: ReadonlyArray<readonly [string, Shell]> = [
  ...[["dash"], ["bash", "--posix"]].filter(([program = "", ...words]) =>
    available(`the scripts of another host in ${program}`, program, ...words, "-c", ":")
  ).map((command) => [command.join(" "), { command, path: usual }] as const),
  ["busybox", { command: [busybox, "sh"], path: applets }]
]

/** Starts a script in a shell as sshd would; its standard input stays open. */
const begin = (
  shell: Shell,
  text: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {}
) => {
  const { argv, stdin } = scripted("test", text, args)
  const [program = "", ...words] = [...shell.command, ...argv.slice(1)]
  const child = spawn(program, words, { env: { PATH: shell.path, HOME: root, ...env } })
  let out = ""
  child.stdout.setEncoding("utf8")
  child.stdout.on("data", (part: string) => out += part)
  child.stderr.on("data", (part: Buffer) => out += part.toString())
  child.stdin.on("error", () => {})
  child.stdin.write(stdin)
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve))
  return { child, ended, output: () => out, leave: () => child.stdin.end() }
}

const secretWord = "haproxy-mcp-0123456789abcdef"
let counted = 0

const newRun = (changes: Partial<Parameters<typeof runScript>[0]> = {}) => {
  const home = join(root, `home-${counted++}`)
  mkdirSync(home)
  const folder = join(home, "haproxy-mcp-runs", "0000000000000000-ssh")
  const text = runScript({
    secretWord,
    folder,
    caBundle: null,
    bundleName: "ca-bundle.pem",
    files: { "quiet.sh": ": 'quoted' \"$HOME\" `no` \\n\n", "account.conf": "SAVED_X='a b'\n" },
    variables: { SECRET: "it's a \"secret\" $HOME `id` \\ ä", CA_HOME: "/ca" },
    limit: 60,
    ...changes
  })
  return { home, folder, text }
}

const assertNothingLeft = (folder: string) =>
  assert.deepStrictEqual([processes(folder), existsSync(folder)], [[], false])

describe.each(shells)("%s", (_, shell) => {
  it("a run: its files, its environment, its output, its exit code; the folder stays until the input ends", async () => {
    const { folder, text } = newRun()
    const inside = "pwd; env | sort; umask; read -r line || echo no input; echo to stderr >&2; printf partial; exit 3"
    const run = begin(shell, text, ["/bin/sh", "-c", inside, "sh"], {
      FOREIGN: "x",
      LANG: "C.UTF-8",
      folder: "exported"
    })
    await becomes("it has ended", () => run.output().includes(" ended "))
    const lines = run.output().split("\n").filter((line) => line !== "")
    const said = lines.map((line) => readSaid(secretWord, line)).filter((one) => one !== null)
    assert.deepStrictEqual(said, [{ _tag: "Ready" }, { _tag: "Ended", code: 3 }])
    const others = lines.filter((line) => !line.startsWith(secretWord) && !/^(?:PWD|OLDPWD|SHLVL|_)=/.test(line))
    assert.deepStrictEqual(
      others.toSorted(),
      [
        "0077",
        "CA_HOME=/ca",
        `HAPROXY_MCP_ACME_RUN=${folder}`,
        `HOME=${root}`,
        "LANG=C.UTF-8",
        "LC_ALL=C",
        `PATH=${shell.path}`,
        "SECRET=it's a \"secret\" $HOME `id` \\ ä",
        folder,
        "no input",
        "partial",
        "to stderr"
      ].toSorted()
    )
    assert.strictEqual(readFileSync(join(folder, "quiet.sh"), "utf8"), ": 'quoted' \"$HOME\" `no` \\n\n")
    assert.strictEqual(readFileSync(join(folder, "account.conf"), "utf8"), "SAVED_X='a b'\n")
    for (const path of [folder, join(folder, "quiet.sh")]) assert.strictEqual(statSync(path).mode & 0o077, 0)
    run.leave()
    await run.ended
    assertNothingLeft(folder)
  })

  it("the end of its input ends all that it started, in whatever group, and what ignores SIGTERM", async () => {
    const { folder, text } = newRun()
    const inside = "setsid sleep 600 & (trap '' TERM; sleep 601) & sleep 602"
    const run = begin(shell, text, ["/bin/sh", "-c", inside])
    await becomes("all of them run", () => processes(folder).length >= 6)
    run.leave()
    await run.ended
    assertNothingLeft(folder)
    assert.include(run.output(), `${secretWord} ready`)
  })

  it("its time limit does the same, with the input still open", async () => {
    const { folder, text } = newRun({ limit: 1 })
    const run = begin(shell, text, ["/bin/sleep", "600"])
    await run.ended
    assertNothingLeft(folder)
  })

  it("killed itself, its watchers clear all the same", async () => {
    const { folder, text } = newRun()
    const run = begin(shell, text, ["/bin/sleep", "600"])
    await becomes("it runs", () => run.output().includes("ready") && processes(folder).length >= 3)
    run.child.kill("SIGKILL")
    await becomes("nothing is left", () => processes(folder).length === 0 && !existsSync(folder))
  })

  it("a script that was cut on the way does nothing", async () => {
    const { home, text } = newRun()
    const { argv, stdin } = scripted("test", text, ["/bin/echo", "ran"])
    const [program = "", ...words] = [...shell.command, ...argv.slice(1)]
    const child = spawn(program, words, { env: { PATH: shell.path } })
    let out = ""
    child.stdout.on("data", (part: Buffer) => out += part.toString())
    child.stdin.end(stdin.slice(0, -3))
    assert.notStrictEqual(await new Promise((resolve) => child.once("close", resolve)), 0)
    assert.deepStrictEqual([out, readdirSync(home)], ["", []])
  })

  it("a home that is no folder, and a bundle that is not there, are refused in words", async () => {
    const { folder, home, text } = newRun()
    rmSync(home, { recursive: true })
    writeFileSync(home, "")
    const refused = begin(shell, text, ["/bin/echo", "ran"])
    await refused.ended
    const lines = refused.output().split("\n").map((line) => readSaid(secretWord, line)).filter((one) => one !== null)
    assert.strictEqual(lines[0]?._tag, "Refused")
    assert.match(lines[0]?._tag === "Refused" ? lines[0].why : "", /^(?:Not a directory|File exists)$/)
    assert.notInclude(refused.output(), "ran")
    assert.isFalse(existsSync(folder))
    const other = newRun({ caBundle: "/no/bundle.pem" })
    const noBundle = begin(shell, other.text, ["/bin/echo", "ran"])
    await noBundle.ended
    assert.include(noBundle.output(), `${secretWord} refused the CA bundle cannot be read`)
    assertNothingLeft(other.folder)
  })

  it("the bundle is followed by what the system trusts", async () => {
    const bundle = join(root, "bundle.pem")
    const system = join(root, "system.pem")
    writeFileSync(bundle, "private CA")
    writeFileSync(system, "public CAs\n")
    const { folder, text } = newRun({ caBundle: bundle })
    const run = begin(shell, text, ["/bin/cat", join(folder, "ca-bundle.pem")], { SSL_CERT_FILE: system })
    await becomes("it has ended", () => run.output().includes(" ended "))
    assert.include(run.output(), "private CA\npublic CAs\n")
    run.leave()
    await run.ended
  })

  it("a sweep removes what is nobody's, and nothing else", async () => {
    const { home, folder, text } = newRun()
    const living = begin(shell, text, ["/bin/sleep", "600"])
    await becomes("it runs", () => living.output().includes("ready"))
    const parent = join(home, "haproxy-mcp-runs")
    const make = (name: string, minutes: number) => {
      const path = join(parent, name)
      mkdirSync(path)
      const then = new Date(Date.now() - minutes * 60_000)
      utimesSync(path, then, then)
      return path
    }
    const [dead, young, local] = [make("dead-ssh", 5), make("young-ssh", 0), make("0123456789abcdef-1-1-1", 500)]
    const then = new Date(Date.now() - 5 * 60_000)
    utimesSync(folder, then, then)
    const sweep = begin(shell, sweepScript, [home])
    assert.strictEqual(await sweep.ended, 0, sweep.output())
    assert.deepStrictEqual([dead, young, local, folder].map((path) => existsSync(path)), [false, true, true, true])
    // Longer than any run may take.
    const longAgo = new Date(Date.now() - 100 * 60_000)
    utimesSync(folder, longAgo, longAgo)
    await begin(shell, sweepScript, [`~/${home.slice(root.length + 1)}`]).ended
    await living.ended
    assertNothingLeft(folder)
    assert.strictEqual(await begin(shell, sweepScript, ["/no/such/home"]).ended, 0)
  })

  it("a look", async () => {
    const home = join(root, `look-${counted++}`)
    const write = (name: string, content: string, mode = 0o600) => {
      const path = join(home, name)
      mkdirSync(join(path, ".."), { recursive: true })
      writeFileSync(path, content)
      chmodSync(path, mode)
      return path
    }
    const program = write(
      "acme.sh",
      "#!/bin/sh\n# --cert-profile\necho https://github.com/acmesh-official/acme.sh\necho v3.1.4\n",
      0o755
    )
    const hook = write("dnsapi/dns_own.sh", "")
    write("saved.test_ecc/saved.test.conf", "Le_ReloadCmd='canary'\n")
    write("copied.test/copied.test.conf", "Le_RealKeyPath='/canary'\n")
    write("plain.test/plain.test.conf", "Le_ReloadCmd=''\n")
    write("plain.test/other.conf", "Le_ReloadCmd='x'\n")
    const bin = join(home, "bin")
    write("bin/crontab", "#!/bin/sh\n[ \"$1\" = -l ] && echo '0 0 * * * \"/x/.acme.sh\"/acme.sh --cron'\n", 0o755)
    const silent = write("bin/silent-acme", "#!/bin/sh\n", 0o755)
    for (const tool of ["curl", "openssl"]) write(`bin/${tool}`, "", 0o755)
    const see = async (args: ReadonlyArray<string>, PATH = `${bin}:${shell.path}`) => {
      const look = begin(shell, Look.script, args, { PATH })
      look.leave()
      await look.ended
      return Look.read(look.output())!
    }
    const inHome = `~${home.slice(root.length)}`
    const all = await see([inHome, `${inHome}/secrets`, "", "dns_own", "yes"])
    assert.deepStrictEqual(all, {
      places: { home, credentialsFile: `${home}/secrets`, caBundle: null },
      command: [program],
      path: program,
      version: "3.1.4",
      takesProfile: true,
      hook,
      missingTools: [],
      hasCaBundle: true,
      unwritable: null,
      // busybox takes its own crontab, wherever another one is.
      habits: {
        schedules: shell.path === applets ? [] : ["the SSH user's crontab"],
        saved: ["copied.test", "saved.test"]
      }
    })
    const named = await see([home, "/c", "/no/bundle", "dns_none", "no", "/bin/sh", program])
    assert.deepStrictEqual([named.command, named.path, named.hook, named.hasCaBundle, named.version], [
      ["/bin/sh", program],
      program,
      null,
      false,
      "3.1.4"
    ])
    const none = await see([`${home}/none`, "/c", "", "dns_own", "no", "acme-that-is-not-there"])
    assert.deepStrictEqual([none.command, none.version, none.habits.schedules], [[], null, []])
    const found = await see([`${home}/none`, "/c", "", "dns_own", "no", "silent-acme"])
    assert.deepStrictEqual([found.command, found.version], [[silent], null])
  })
})
