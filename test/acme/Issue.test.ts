/** acme.sh as it is, against real CAs: what it gives, what it leaves, and every way in which it may fail. */
import { assert, layer, vi } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { join } from "node:path"
import { isRegistered, readAccount } from "../../src/acme/Account.ts"
import { Acme, type AcmeOptions } from "../../src/acme/Acme.ts"
import { mark } from "../../src/acme/RunFolder.ts"
import { acmeHome, newAcmeProgram, type Pebble, startPebble } from "../support/Pebble.ts"
import { becomes } from "../support/Poll.ts"
import { releasePort, takePort } from "../support/Ports.ts"

// acme.sh takes some seconds of a processor for each certificate, and other tests take theirs. Three at once: it waits too.
vi.setConfig({ testTimeout: 180_000, maxConcurrency: 3 })

class Ca extends Context.Service<Ca, Pebble>()("test/Ca") {
  static readonly layer = Layer.effect(
    Ca,
    startPebble({ profiles: { default: 7_776_000, short: 518_400 } })
  )
}

const silent = () => Effect.void

const issue = (
  options: AcmeOptions,
  names: ReadonlyArray<string>,
  progress: Parameters<Acme["Service"]["issue"]>[1] = silent
) => Effect.flatMap(Acme, (acme) => acme.issue(names, progress)).pipe(Effect.provide(Acme.layer(options)))

const homeFor = (changes: Partial<AcmeOptions> = {}) => Effect.flatMap(Ca, (ca) => acmeHome(ca, changes))

/** Processes of runs below a home. */
const processesOf = (home: string): ReadonlyArray<string> =>
  readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`${mark}=${home}/`)
    } catch {
      return false
    }
  })

const runsIn = (home: string): ReadonlyArray<string> => {
  const folder = join(home, "haproxy-mcp-runs")
  return existsSync(folder) ? readdirSync(folder) : []
}

const assertNothingLeft = (home: string) => {
  assert.deepStrictEqual([processesOf(home), runsIn(home)], [[], []])
}

/** Accepts connections and never says a word. */
const silentListener = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const sockets: Array<Socket> = []
      const server = createServer((socket) => sockets.push(socket.on("error", () => {})))
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return { server, sockets }
    }),
    ({ server, sockets }) =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
  ),
  ({ server, sockets }) => ({ port: (server.address() as AddressInfo).port, connections: () => sockets.length })
)

const filesBelow = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort()

layer(Ca.layer, { excludeTestServices: true, concurrent: true })("issue", (it) => {
  it.effect("two names, bad nonces and all: chain and key that belong together, and nothing of acme.sh's own is used", () =>
    Effect.gen(function*() {
      // One nonce of four is bad.
      const ca = yield* startPebble({ badNonces: 25 })
      const token = "canary-saved-t0k3n"
      const home = yield* acmeHome(ca, { acmeEmail: "ops@example.com" })
      // What an operator's own acme.sh may have left: a certificate of the same name with all that it does by itself.
      const planted = Buffer.from(`touch ${home.folder}/reloaded`).toString("base64")
      home.write(
        "example.test_ecc/example.test.conf",
        `Le_Domain='example.test'\nLe_ReloadCmd='__ACME_BASE64__START_${planted}__ACME_BASE64__END_'\n`
          + `Le_RealKeyPath='${home.folder}/copied.key'\n`
      )
      home.write(
        "account.conf",
        `SAVED_TEST_Token='${token}'\nLOG_FILE='${home.folder}/acme.log'\nLOG_LEVEL=3\ntouch ${home.folder}/sourced\n`
          + `NOTIFY_HOOK='mail'\nACCOUNT_KEY_PATH='${home.folder}/other.key'\n`
      )
      const { argumentLists, options } = home.recording()
      const before = filesBelow(home.folder)
      const heard: Array<readonly [number, number]> = []
      const issued = yield* issue(
        options,
        ["example.test", "*.example.test"],
        (done, total) => Effect.sync(() => heard.push([done, total]))
      )
      assert.include(argumentLists(), "curl -K -")
      assert.notInclude(argumentLists(), token)
      const [own, ...issuers] = issued.chain.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g)!
        .map((pem) => new X509Certificate(pem))
      assert.strictEqual(own!.subjectAltName, "DNS:example.test, DNS:*.example.test")
      assert.isTrue(own!.checkPrivateKey(createPrivateKey(Redacted.value(issued.key))))
      assert.isTrue(
        own!.verify(issuers[0]!.publicKey) && issuers.at(-1)!.verify(new X509Certificate(ca.root).publicKey)
      )
      assert.deepStrictEqual(heard, heard.toSorted(([a], [b]) => a - b), "progress only goes on")
      assert.deepStrictEqual(heard.at(-1), [9, 9])
      const left = filesBelow(home.folder).filter((file) => !before.includes(file))
      assert.deepStrictEqual(left, [
        "ca/localhost/dir/account.json",
        "ca/localhost/dir/account.key",
        "ca/localhost/dir/ca.conf",
        "dns-called"
      ])
      for (const file of left) assert.strictEqual(statSync(join(home.folder, file)).mode & 0o077, 0, file)
      assertNothingLeft(home.folder)
    }))

  it.effect("two first ones at once share one account", () =>
    Effect.gen(function*() {
      const home = yield* homeFor({ acmeKeyType: "2048" })
      yield* Effect.gen(function*() {
        const acme = yield* Acme
        const both = yield* Effect.all(
          ["one.test", "two.test"].map((name) => acme.issue([name], silent)),
          { concurrency: "unbounded" }
        )
        const keys = both.map((one) => new X509Certificate(one.chain).publicKey.asymmetricKeyType)
        assert.deepStrictEqual(keys, ["rsa", "rsa"])
      }).pipe(Effect.provide(Acme.layer(home.options)))
      const conf = readFileSync(join(home.folder, "ca/localhost/dir/ca.conf"), "utf8")
      assert.strictEqual(new Set(conf.match(/ACCOUNT_URL=.*/g)).size, 1)
      assert.isTrue(
        isRegistered(readAccount(home.folder, home.options.acmeServer)),
        "so that nobody registers it again"
      )
      assertNothingLeft(home.folder)
    }))

  it.effect("a name that cannot be verified, and one that the CA refuses", () =>
    Effect.gen(function*() {
      const home = yield* homeFor()
      home.set("dns-lies", true)
      const rejected = yield* Effect.flip(issue(home.options, ["lies.test"]))
      assert.match(rejected.message, /^The CA localhost could not verify lies\.test\.$/)
      assert.isTrue(rejected.code === "ACME_FAILED" && rejected.retryable)
      home.set("dns-lies", false)
      const blocked = yield* Effect.flip(issue(home.options, ["blocked.example"]))
      assert.strictEqual(blocked.message, "The CA does not give certificates for one of the names.")
      assert.isFalse(blocked.code === "ACME_FAILED" && blocked.retryable)
      assertNothingLeft(home.folder)
    }))

  it.effect("a DNS hook that fails and shows its credentials: its words are not repeated", () =>
    Effect.gen(function*() {
      const token = "canary-hook-t0k3n"
      const home = yield* homeFor()
      home.write("credentials.ini", `export TEST_Token="${token}"\n`)
      home.set("dns-fails", true)
      const { argumentLists, options } = home.recording()
      const failed = yield* Effect.flip(issue(options, ["fails.test"]))
      assert.notInclude(argumentLists(), token)
      assert.strictEqual(failed.message, "The DNS hook dns_test could not add a TXT record.")
      assert.notInclude(JSON.stringify(failed), "canary")
      assertNothingLeft(home.folder)
    }))

  it.effect("a CA that is down is said at once", () =>
    Effect.gen(function*() {
      const port = yield* Effect.acquireRelease(Effect.promise(takePort), (one) => Effect.sync(() => releasePort(one)))
      const home = yield* homeFor({ acmeServer: `https://localhost:${port}/dir` })
      const begun = performance.now()
      const failed = yield* Effect.flip(issue(home.options, ["down.test"]))
      // acme.sh alone would try for 100 seconds.
      assert.isBelow(performance.now() - begun, 10_000)
      assert.strictEqual(failed.message, "The CA localhost cannot be reached: nothing answers there.")
      assert.isTrue(failed.code === "ACME_FAILED" && failed.retryable)
      assertNothingLeft(home.folder)
    }))

  it.effect("a CA that takes the connection and says nothing: the time limit ends it", () =>
    Effect.gen(function*() {
      const silentServer = yield* silentListener
      const home = yield* homeFor({ acmeServer: `https://localhost:${silentServer.port}/dir`, acmeTimeout: 8_000 })
      const running = yield* Effect.forkChild(Effect.flip(issue(home.options, ["slow.test"])))
      yield* Effect.promise(() => becomes("acme.sh waits for it", () => silentServer.connections() > 0))
      assert.isAbove(processesOf(home.folder).length, 0)
      const failed = yield* Fiber.join(running)
      assert.strictEqual(failed.message, "acme.sh did not come to an end within 8 seconds and was ended.")
      assert.isTrue(failed.code === "ACME_FAILED" && failed.retryable)
      assertNothingLeft(home.folder)
    }))

  it.effect("interruption ends it with all that it started", () =>
    Effect.gen(function*() {
      const home = yield* homeFor()
      home.set("dns-hangs", true)
      const running = yield* Effect.forkChild(issue(home.options, ["gone.test"]))
      // As long as acme.sh may take to come there; its failure would be said.
      yield* Effect.promise(() => becomes("the hook waits", () => home.has("dns-called"), home.options.acmeTimeout))
        .pipe(
          Effect.raceFirst(Effect.asVoid(Fiber.join(running)))
        )
      yield* Effect.promise(() =>
        becomes("a helper of the hook has left the group", () => processesOf(home.folder).length >= 3)
      )
      assert.lengthOf(runsIn(home.folder), 1)
      yield* Fiber.interrupt(running)
      assertNothingLeft(home.folder)
    }))

  it.effect("a profile, where acme.sh can ask for it", () =>
    Effect.gen(function*() {
      const home = yield* homeFor({ acmeProfile: "short" })
      const refused = yield* Effect.flip(issue(home.options, ["short.test"]))
      assert.deepStrictEqual([refused.code, refused.message], [
        "CONFIG_INVALID",
        "acme.sh 3.1.1 cannot ask for a profile."
      ])
      const command = [yield* Effect.promise(newAcmeProgram)]
      const issued = yield* issue({ ...home.options, acmeCommand: command }, ["short.test"])
      const { validFromDate, validToDate } = new X509Certificate(issued.chain)
      assert.strictEqual(Math.round((validToDate.getTime() - validFromDate.getTime()) / 86_400_000), 6)
      assertNothingLeft(home.folder)
    }))

  it.effect("names that are none never reach an argument list", () =>
    Effect.gen(function*() {
      const home = yield* homeFor()
      for (const names of [[], ["--home"], ["a.test", "b.test; touch x"], ["no_underscores.test"], ["UPPER .test"]]) {
        const failed = yield* Effect.flip(issue(home.options, names))
        assert.strictEqual(failed.code, "ACME_FAILED")
      }
      assert.isFalse(home.has("ca"))
    }))
})
