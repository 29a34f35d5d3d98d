/**
 * `npm run image`: builds the image with what this machine has (Docker, Podman, Buildah, else a Podman fetched from
 * Debian into `.cache`), and prints its name, size and digest.
 */
import { parseArgs } from "node:util"
import { FetchFailure } from "./debian/FetchFailure.ts"
import { ensureBase } from "./image/Base.ts"
import { addAcme, buildImage } from "./image/Build.ts"
import { ask, findEngine } from "./image/Podman.ts"
import { run } from "./image/Run.ts"

const usage = `npm run image -- [options]

  --tag NAME        name of the image; default localhost/haproxy-mcp:latest
  --acme            add acme.sh, curl and openssl, for a control plane that issues certificates
  --base            make the base images from Debian packages: no image registry is needed
  --engine NAME     docker, podman or buildah; default the first that works
  --save FILE       also write the image as an archive, for \`podman load\` or \`docker load\` elsewhere
  --test            build it with --base and try it: test/deploy
  --help            this text
`

const say = (text: string) => process.stderr.write(`haproxy-mcp: ${text}\n`)

const options = () =>
  parseArgs({
    options: {
      tag: { type: "string", default: "localhost/haproxy-mcp:latest" },
      acme: { type: "boolean", default: false },
      base: { type: "boolean", default: false },
      engine: { type: "string" },
      save: { type: "string" },
      test: { type: "boolean", default: false },
      help: { type: "boolean", default: false }
    }
  }).values

const main = async (asked: ReturnType<typeof options>): Promise<number> => {
  const { acme, base, engine: wanted, save, tag } = asked
  if (acme && base) throw new TypeError("--acme installs with apt, which an image of --base has not")
  if (asked.test) return (await run("vitest", ["run", "test/deploy"], { shown: true })).code
  const engine = await findEngine(wanted, () => say("this machine has no Podman; fetching one from Debian into .cache"))
  say(`building ${tag} with ${engine.title}`)
  const images = base ? await ensureBase(engine, () => say("making the base images from Debian packages")) : undefined
  const plain = await buildImage(engine, { tag, shown: true, ...(images === undefined ? {} : { base: images }) })
  const built = acme ? await addAcme(engine, tag, tag, true) : plain
  if (save !== undefined) {
    const saved = await ask(engine, "save", "--output", save, tag)
    if (saved.code !== 0) {
      throw new FetchFailure("NoEngine", `not saved: ${saved.stderr.trim()}`, "Is the file there already?")
    }
  }
  console.log(`${built.tag}\n  ${built.id}\n  ${(built.bytes / 1e6).toFixed(0)} MB`)
  if (save !== undefined) console.log(`  saved as ${save}`)
  return 0
}

if (import.meta.main) {
  try {
    const asked = options()
    if (asked.help) process.stdout.write(usage)
    else process.exitCode = await main(asked)
  } catch (cause) {
    if (cause instanceof FetchFailure) say(`${cause.message}\nhaproxy-mcp: ${cause.hint}`)
    else if (cause instanceof TypeError) say(`${cause.message}\n${usage}`)
    else throw cause
    process.exitCode = cause instanceof TypeError ? 2 : 1
  }
}
