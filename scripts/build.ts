/**
 * Builds dist/: the program as one bundle behind a small launcher, the library entries with their packages left
 * outside (a user's Effect must be the same as ours), and the types.
 *
 * The launcher checks Node's version before anything else is parsed, and keeps V8's compile cache in the user's own
 * cache folder: Node's default, below /tmp, could be prepared by another user of the machine. Where the program comes with
 * a cache (the image, whose containers begin with an empty home), that one is taken.
 */
import * as esbuild from "esbuild"
import { execFileSync, type ExecFileSyncOptions } from "node:child_process"
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { builtinModules, createRequire } from "node:module"
import { basename, dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const dist = join(root, "dist")
/** The oldest Node whose SQLite (3.51.3 or later) has no WAL-reset corruption. */
const oldestNode = [24, 18] as const

/** Beside the program: V8's code of its modules, by paths from there. */
const cacheFolder = "compile-cache"
/** Whom the image runs the program as. */
const imageUser = 99

const launcher = `#!/usr/bin/env node
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import module from "node:module"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const [major, minor] = process.versions.node.split(".").map(Number)
if (major > ${oldestNode[0]} || (major === ${oldestNode[0]} && minor >= ${oldestNode[1]})) {
  const shipped = join(dirname(fileURLToPath(import.meta.url)), "${cacheFolder}")
  const isTaken = !process.env.NODE_COMPILE_CACHE && existsSync(shipped) &&
    module.enableCompileCache({ directory: shipped, portable: true }).status === module.constants.compileCacheStatus.ENABLED
  if (!isTaken) {
    const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache")
    module.enableCompileCache(process.env.NODE_COMPILE_CACHE || join(cache, "haproxy-mcp"))
  }
  await import("./main.js")
} else {
  // An older Node: the package brings its own as a dependency.
  let own = ""
  try {
    own = join(dirname(module.createRequire(import.meta.url).resolve("node/package.json")), "bin", "node")
  } catch {}
  if (!existsSync(own)) {
    console.error(\`haproxy-mcp: needs Node ${oldestNode.join(".")} or later; this is \${process.versions.node}\`)
    process.exit(1)
  }
  const child = spawn(own, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" })
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => child.kill(signal))
  child.on("exit", (code, signal) => signal === null ? process.exit(code) : process.kill(process.pid, signal))
}
`

/**
 * Node's own modules are taken as they are, without the ESM view that `import` makes of them: making it reads every
 * export, and reading `WebSocket` of node:http loads all of undici, a quarter of the whole start.
 */
const builtins: esbuild.Plugin = {
  name: "builtins",
  setup(build) {
    build.onResolve({ filter: new RegExp(`^(?:node:)?(?:${builtinModules.join("|")})$`) }, ({ path }) => ({
      path: path.replace(/^node:/, ""),
      namespace: "builtin"
    }))
    build.onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(`node:${path}`)})`,
      loader: "js"
    }))
  }
}

const common: esbuild.BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node24",
  splitting: true,
  logLevel: "warning"
}

/** One script with all that it imports, in a folder; answers the file. */
export const bundle = async (script: string, outdir: string): Promise<string> => {
  await esbuild.build({
    ...common,
    outdir,
    entryPoints: [script],
    chunkNames: "main-[name]-[hash]",
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    plugins: [builtins],
    // ssh2's own, which it does without.
    external: ["*.node"],
    // Some packages of the bundle are CommonJS and call require for Node's own modules.
    banner: {
      js:
        "import{createRequire as $require}from'node:module';const require=$require(import.meta.url),__dirname=import.meta.dirname;"
    }
  })
  return join(outdir, basename(script).replace(/\.ts$/, ".js"))
}

/** The program alone, in a folder: `haproxy-mcp.js` is the file to run. */
export const buildProgram = async (outdir: string): Promise<string> => {
  await bundle(join(root, "src", "main.ts"), outdir)
  // Without the package around it Node would read every file once more to find out that it is a module.
  if (outdir !== dist) writeFileSync(join(outdir, "package.json"), "{\"type\":\"module\"}\n")
  const program = join(outdir, "haproxy-mcp.js")
  writeFileSync(program, launcher)
  chmodSync(program, 0o755)
  return program
}

/** Compiles every module of a program that {@link buildProgram} has made, as this Node does, for {@link cacheFolder}. */
const compile = (program: string): void => {
  const folder = dirname(program)
  const directory = join(folder, cacheFolder)
  const files = readdirSync(folder).filter((name) => /^main-.+\.js$/.test(name)).map((name) => join(folder, name))
  // What main.js imports has no effects; it is the program, and is run for its version.
  const imports = files.map((file) => `await import(${JSON.stringify(pathToFileURL(file).href)})`).join("\n")
  const script = `process.getBuiltinModule("node:module").enableCompileCache(${
    JSON.stringify({ directory, portable: true })
  })\n${imports}`
  const quiet: ExecFileSyncOptions = { stdio: ["ignore", "ignore", "inherit"] }
  execFileSync(process.execPath, ["--input-type=module", "-e", script], quiet)
  execFileSync(process.execPath, [program, "--version"], quiet)
  // Node 24.21 writes for one user: the files are for its eyes alone, and it takes only a folder that ends in its number.
  for (const made of readdirSync(directory)) {
    for (const file of readdirSync(join(directory, made))) chmodSync(join(directory, made, file), 0o644)
    const theirs = join(directory, made.replace(/-\d+$/, `-${imageUser}`))
    if (!existsSync(theirs)) symlinkSync(made, theirs)
  }
}

/** The library entries and their types. */
const buildLibrary = async (outdir: string): Promise<void> => {
  await esbuild.build({
    ...common,
    outdir,
    entryPoints: [join(root, "src", "index.ts"), join(root, "src", "testing.ts")],
    chunkNames: "library-[hash]",
    packages: "external"
  })
  // Wherever it is installed: a copy of the sources may lie below the packages that it uses.
  const typescript = createRequire(import.meta.url).resolve("typescript/package.json")
  const tsc = join(dirname(typescript), "bin", "tsc")
  execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" })
}

/** `node scripts/build.ts` makes dist/; `node scripts/build.ts FOLDER` makes the program alone, compiled, as the image holds it. */
if (import.meta.main) {
  const [folder] = process.argv.slice(2)
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { readonly version: string }
  const made = folder ?? dist
  if (folder === undefined) {
    rmSync(made, { recursive: true, force: true })
    await buildLibrary(made)
  }
  const program = await buildProgram(made)
  if (folder !== undefined) compile(program)
  console.log(`haproxy-mcp ${version}: ${made}/main.js ${(statSync(join(made, "main.js")).size / 1024).toFixed(0)} KiB`)
}
