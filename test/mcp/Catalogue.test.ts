/** The catalogue: its golden file, and the rules that keep it usable for every client and model provider. */
import { assert, describe, it } from "@effect/vitest"
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv"
import { readFileSync, writeFileSync } from "node:fs"
import { InvalidInput, OutcomeUnknown, toBody } from "../../src/domain/Errors.ts"
import { type Toolset, toolsets } from "../../src/domain/Toolset.ts"
import { allTools, defaultTools, offer, toolsBySet } from "../../src/mcp/Catalogue.ts"
import { ErrorDocument } from "../../src/mcp/ErrorDocument.ts"
import { instructions } from "../../src/mcp/Instructions.ts"

/** Everything, as a client sees it that has every toolset. */
const { catalogue } = offer(new Set(toolsets))

const goldenOf = (name: string) => new URL(`../golden/${name}.json`, import.meta.url)

const assertGolden = (name: string, value: unknown): void => {
  const text = `${JSON.stringify(value, null, 2)}\n`
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(goldenOf(name), text)
  assert.strictEqual(text, readFileSync(goldenOf(name), "utf8"))
}

/** Bytes of what `tools/list` answers. */
const bytesOf = (sets: ReadonlyArray<Toolset>) =>
  Buffer.byteLength(JSON.stringify({ tools: offer(new Set(sets)).catalogue }))

type Node = { readonly [key: string]: unknown }
const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && !Array.isArray(value)

/** Every schema of a document with its path. */
const walk = (node: unknown, path: string, visit: (node: Node, path: string) => void): void => {
  if (!isNode(node)) return
  visit(node, path)
  for (const [name, child] of Object.entries(isNode(node["properties"]) ? node["properties"] : {})) {
    walk(child, `${path}.${name}`, visit)
  }
  walk(node["items"], `${path}[]`, visit)
  for (const key of ["anyOf", "oneOf", "allOf"]) {
    for (const child of (node[key] ?? []) as ReadonlyArray<unknown>) walk(child, `${path}(${key})`, visit)
  }
}

describe("the catalogue", () => {
  it("is the golden file (UPDATE_GOLDEN=1 refreshes it)", () => {
    for (const set of toolsets) {
      const names = new Set(toolsBySet[set].map(({ name }) => name))
      assertGolden(set === "default" ? "tools" : `tools-${set}`, catalogue.filter(({ name }) => names.has(name)))
    }
    // Row by row what the answers hold, of which the catalogue is a sketch.
    assertGolden("answers", Object.fromEntries(allTools.map(({ answerSchema, name }) => [name, answerSchema])))
  })

  it("is small: a model reads it whole", () => {
    assert.isAtMost(bytesOf(["default"]), 40_000)
    assert.isAtMost(bytesOf(toolsets), 90_000)
  })

  it("offers the default set always, and another one only when it is on", () => {
    const off = offer(new Set<Toolset>(["default"]))
    assert.deepStrictEqual(off.names, toolsBySet.default.map(({ name }) => name))
    for (const { name } of toolsBySet.runtime) {
      assert.isUndefined(off.find(name), name)
      assert.include(off.instead(name), "MCP_TOOLSETS=runtime")
      assert.isDefined(offer(new Set(toolsets)).find(name), name)
    }
  })

  it("has the tools and parameters that users know", () => {
    const signatures = defaultTools.map((tool) => {
      const required = tool.inputSchema.required ?? []
      const parameters = Object.entries(tool.inputSchema.properties).map(([name, property]) =>
        property["default"] !== undefined
          ? `${name}=${property["default"]}`
          : required.includes(name)
          ? name
          : `${name}?`
      )
      return `${tool.name}(${parameters.join(", ")})`
    })
    assert.deepStrictEqual(signatures, [
      "haproxy_list_domains(include_wildcards=false, search?, limit=100, cursor?)",
      "haproxy_add_domain(domain, ip?, http_port=80, share_with?, dry_run=false)",
      "haproxy_remove_domain(domain, force?, dry_run=false)",
      "haproxy_cleanup_wildcards(force?, dry_run=false)",
      "haproxy_list_servers(domain)",
      "haproxy_add_server(domain, slot=0, ip, http_port=80, dry_run=false)",
      "haproxy_add_servers(domain, servers, dry_run=false)",
      "haproxy_remove_server(domain, slot, force?, dry_run=false)",
      "haproxy_set_server_state(domain?, slot?, backend?, server?, state, force?, dry_run=false)",
      "haproxy_set_server_weight(domain?, slot?, backend?, server?, weight, force?, dry_run=false)",
      "haproxy_set_domain_state(domain?, slot?, backend?, server?, state, force?, dry_run=false)",
      "haproxy_wait_drain(domain, slot?, timeout=30)",
      "haproxy_health()",
      "haproxy_domain_health(domain)",
      "haproxy_explain(host, path=/, source_ip?)",
      "haproxy_get_server_health(backend?, search?, status?, limit=50, cursor?)",
      "haproxy_stats()",
      "haproxy_backends(search?, status?, limit=50, cursor?)",
      "haproxy_list_frontends(search?, limit=50, cursor?)",
      "haproxy_get_connections(backend?, limit=20, cursor?)",
      "haproxy_check_config()",
      "haproxy_reload(dry_run=false)",
      "haproxy_save_state(dry_run=false)",
      "haproxy_restore_state(force?, dry_run=false)",
      "haproxy_list_certs(search?, limit=50, cursor?)",
      "haproxy_cert_info(domain)",
      "haproxy_issue_cert(domain, wildcard=true, dry_run=false)",
      "haproxy_renew_cert(domain, force=false, dry_run=false)",
      "haproxy_renew_all_certs(dry_run=false)",
      "haproxy_delete_cert(domain, force=false, dry_run=false)",
      "haproxy_load_cert(domain, dry_run=false)",
      "haproxy_operation(operation_id, wait=0)",
      "haproxy_changes(change_id?, domain?, who?, from?, until?, limit=20, cursor?)",
      "haproxy_revert(change_id, force?, dry_run=false)"
    ])
  })

  it("tells a model little and enough", () => {
    assert.isBelow(Buffer.byteLength(instructions), 2048)
    for (const { description, name, title } of catalogue) {
      assert.isAtMost(description.length, 400, name)
      assert.isAtLeast(description.length, 100, name)
      assert.match(name, /^haproxy_[a-z_]{1,50}$/)
      assert.isAbove(title.length, 3)
      for (const [mentioned] of `${description} ${instructions}`.matchAll(/haproxy_[a-z_]+/g)) {
        assert.isTrue(allTools.some((tool) => tool.name === mentioned), `${name} mentions ${mentioned}`)
      }
    }
    assert.strictEqual(new Set(catalogue.map((tool) => tool.name)).size, catalogue.length)
  })

  it("says all four hints, and reading tools neither write nor destroy", () => {
    for (const { annotations, name } of catalogue) {
      for (const hint of ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] as const) {
        assert.isBoolean(annotations[hint], `${name} ${hint}`)
      }
      assert.isFalse(annotations.readOnlyHint && annotations.destructiveHint, name)
      const reading =
        /_(list_|get_|stats$|backends$|health$|domain_health$|wait_drain$|check_config$|cert_info$|explain$|operation$|changes$|[a-z_]+_(?:show|list|help|echo)$)/
          .test(
            name
          )
      assert.strictEqual(annotations.readOnlyHint, reading, name)
    }
  })

  for (const { inputSchema, name, outputSchema } of catalogue) {
    it(`${name}: schemas that strict clients take`, () => {
      for (const [kind, schema] of [["input", inputSchema], ["output", outputSchema]] as const) {
        const root = schema as unknown as Node
        assert.strictEqual(root["type"], "object")
        // An answer's field that a later version adds must not fail a client that kept this document.
        assert.strictEqual(root["additionalProperties"], kind === "input" ? false : undefined)
        for (const key of ["anyOf", "oneOf", "allOf", "not", "$ref", "$defs", "if"]) assert.notProperty(root, key)
        walk(root, `${name} ${kind}`, (node, path) => {
          assert.isFalse(Array.isArray(node["type"]), `${path} has a type array`)
          assert.notProperty(node, "$ref", path)
          if (kind === "input") {
            // Some model providers refuse every tool when one parameter is a union, with or without siblings.
            for (const key of ["anyOf", "oneOf", "allOf", "const", "not"]) assert.notProperty(node, key, path)
            assert.isString(node["type"], path)
          }
          if (kind === "output") return
          for (const [property, child] of Object.entries(isNode(node["properties"]) ? node["properties"] : {})) {
            assert.isString((child as Node)["description"], `${path}.${property} is not described`)
          }
        })
      }
    })

    it(`${name}: error results pass the validation of the 1.x client`, () => {
      const validate = new AjvJsonSchemaValidator().getValidator(outputSchema as never)
      const errors = [
        new InvalidInput({ message: "m", hint: "h", field: "servers[0].ip", validValues: ["a"] }),
        new OutcomeUnknown({ message: "m", hint: "h", changeId: "chg_1" })
      ]
      const full = new AjvJsonSchemaValidator().getValidator(ErrorDocument as never)
      for (const error of errors) {
        assert.isTrue(validate({ error: toBody(error) }).valid)
        assert.isTrue(full(toBody(error)).valid)
      }
      assert.isFalse(full({ code: "WHATEVER", message: "m", retryable: false, hint: "h" }).valid)
      assert.isFalse(validate({ error: "a text" }).valid)
    })
  }
})
