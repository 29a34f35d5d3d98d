/** The workflows of the forge and the Makefile call what exists, and may do no more than they need. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parseDocument } from "yaml"
import { root } from "../../support/ServerProcess.ts"

const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly scripts: Readonly<Record<string, string>>
}

interface Step {
  readonly uses?: string
  readonly run?: string
  readonly with?: Readonly<Record<string, unknown>>
}

interface Job {
  readonly "runs-on": string
  readonly "timeout-minutes": number
  readonly permissions?: Readonly<Record<string, string>>
  readonly needs?: string
  readonly steps: ReadonlyArray<Step>
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>
  readonly permissions: Readonly<Record<string, string>>
  readonly jobs: Readonly<Record<string, Job>>
}

const folder = join(root, ".github/workflows")
const read = (name: string): Workflow => {
  const document = parseDocument(readFileSync(join(folder, name), "utf8"), { strict: true, uniqueKeys: true })
  assert.deepStrictEqual([...document.errors, ...document.warnings], [], name)
  return document.toJS() as Workflow
}

/** npm scripts that a shell line runs. `npm ci`, `audit` and `publish` are npm's own. */
const scriptsIn = (line: string): ReadonlyArray<string> =>
  [...line.matchAll(/\bnpm (?:run (?:--silent )?([\w-]+)|(test|start)\b)/g)].map((match) => (match[1] ?? match[2])!)

describe.each(readdirSync(folder).filter((name) => name.endsWith(".yml")))("%s", (name) => {
  const workflow = read(name)
  const jobs = Object.entries(workflow.jobs)
  const steps = jobs.flatMap(([, { steps }]) => steps)

  it("runs npm scripts that exist, after the packages are there", () => {
    const called = steps.flatMap(({ run }) => scriptsIn(run ?? ""))
    assert.isNotEmpty(called)
    for (const script of called) assert.property(scripts, script)
    for (const [job, { steps }] of jobs) {
      assert.isTrue(steps.some(({ run }) => run === "npm ci"), job)
      for (const step of steps) assert.isTrue((step.run === undefined) !== (step.uses === undefined), job)
    }
  })

  it("uses the forge's own actions only, and leaves no credentials in the tree", () => {
    for (const { uses, with: options } of steps) {
      if (uses === undefined) continue
      assert.match(uses, /^actions\/(?:checkout|setup-node)@(?:v\d+|[0-9a-f]{40})$/)
      if (uses.startsWith("actions/checkout")) assert.strictEqual(options?.["persist-credentials"], false)
    }
  })

  it("may read, and no more but where it publishes; every job ends", () => {
    assert.deepStrictEqual(workflow.permissions, { contents: "read" })
    for (const [job, { permissions, "timeout-minutes": minutes }] of jobs) {
      assert.isAtMost(minutes, 60, job)
      if (permissions === undefined) continue
      assert.deepStrictEqual([name, job], ["release.yml", "publish"])
      assert.deepStrictEqual(permissions, { contents: "read", "id-token": "write" })
    }
  })

  it("puts nothing that strangers write into a shell line", () => {
    for (const { run } of steps) assert.notInclude(run ?? "", "${{")
  })
})

describe("what the workflows do", () => {
  const lines = (name: string, job: string) => read(name).jobs[job]!.steps.map(({ run }) => run ?? "").join("\n")

  it("checks, tests, builds and scans the image, audits, and makes a release that is not published", () => {
    assert.include(lines("ci.yml", "check"), "npm run check")
    assert.include(lines("ci.yml", "test"), "npm test")
    assert.match(lines("ci.yml", "image"), /npm run image[\s\S]*trivy/)
    assert.match(lines("ci.yml", "security"), /npm audit --omit=dev[\s\S]*npm audit signatures/)
    assert.include(lines("ci.yml", "release-dry-run"), "npm run release -- --dry-run")
  })

  it("publishes on a tag only, after the tests, with provenance", () => {
    const { jobs, on } = read("release.yml")
    assert.deepStrictEqual(Object.keys(on), ["push"])
    assert.deepStrictEqual(Object.keys(on["push"] as object), ["tags"])
    assert.strictEqual(jobs["publish"]!.needs, "test")
    assert.include(lines("release.yml", "publish"), "npm publish --provenance")
    assert.notInclude(readFileSync(join(folder, "ci.yml"), "utf8"), "npm publish")
  })
})

describe("the Makefile", () => {
  const text = readFileSync(join(root, "Makefile"), "utf8")
  const targets = [...text.matchAll(/^([a-z-]+):.*?## (.+)\n((?:\t.+\n)+)/gm)].map(([, target, words, recipe]) => ({
    target: target!,
    words: words!,
    recipe: recipe!
  }))

  it("has the habitual targets, each of which calls an npm script that exists", () => {
    const habitual = [
      "help",
      "install",
      "build",
      "test",
      "check",
      "format",
      "demo",
      "bench",
      "campaign",
      "image",
      "release-dry-run",
      "clean"
    ]
    assert.deepStrictEqual(targets.map(({ target }) => target), habitual)
    assert.deepStrictEqual(/^\.PHONY: (.+)$/m.exec(text)?.[1]?.split(" "), habitual)
    for (const { recipe, target } of targets) {
      if (target === "help" || target === "install") continue
      const called = scriptsIn(recipe)
      assert.strictEqual(called.length, 1, target)
      assert.property(scripts, called[0]!)
    }
  })

  it("lists its targets when it is called without one", () => {
    const { error, status, stderr, stdout } = spawnSync("make", ["--no-print-directory"], {
      cwd: root,
      encoding: "utf8"
    })
    if (error !== undefined) return console.warn("SKIPPED, NOT TESTED: make help (no make here; the file was read)")
    assert.strictEqual(status, 0, stderr)
    assert.deepStrictEqual(
      stdout.trimEnd().split("\n").map((line) => line.trim().split(/ {2,}/)),
      targets.map(({ target, words }) => [target, words])
    )
  })
})
