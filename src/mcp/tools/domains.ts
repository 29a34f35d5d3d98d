/** Tools on domains: list, add, remove, clean up wildcards. */
import * as Schema from "effect/Schema"
import { listDomains } from "../../program/DomainList.ts"
import { addDomain, cleanupWildcards, removeDomain } from "../../program/Domains.ts"
import { reads, removes, sets, tool } from "../Tool.ts"
import * as Field from "./fields.ts"

export const listDomainsTool = tool({
  name: "haproxy_list_domains",
  title: "List domains",
  scope: "read",
  reach: "filtered",
  description:
    "Lists every routed domain with its pool and servers, by name, in pages. Use it to find exact names before a "
    + "change; search narrows it. What HAProxy observes of a domain's servers: haproxy_list_servers, "
    + "haproxy_domain_health.",
  annotations: reads,
  input: {
    include_wildcards: Field.offUnlessSaid("Wildcards too."),
    search: Schema.optionalKey(Field.text("Text in the name.")),
    ...Field.paging(100)
  },
  output: {
    summary: Field.summary,
    domains: Schema.Array(
      Schema.Struct({
        domain: Field.text("The routed name."),
        backend: Field.backend,
        shares_with: Field.sharesWith,
        implicit: Schema.optionalKey(Field.flag("Wildcards only: it came with its domain and leaves with it.")),
        servers: Field.servers
      })
    ).annotate({ description: "One page of domains, by name." }),
    total: Field.count("How many there are, whatever the search."),
    next_cursor: Field.textOrNull("Cursor of the next page; null on the last."),
    foreign_entries: Field.count("Map entries that are not ours and stay untouched.")
  },
  program: listDomains
})

export const addDomainTool = tool({
  name: "haproxy_add_domain",
  title: "Add and route a domain",
  scope: "config",
  reach: ["domain", "share_with"],
  description:
    "Adds a domain and routes its traffic at once, without a reload: to a new pool with the server ip:http_port, to the "
    + "pool of an existing domain (share_with), or to an empty pool (neither). A registrable domain brings its wildcard. "
    + "Next: haproxy_add_server for more, haproxy_domain_health.",
  annotations: sets,
  input: {
    domain: Field.domain,
    ip: Schema.optionalKey(Field.ip),
    http_port: Field.httpPort,
    share_with: Schema.optionalKey(Field.text("Domain whose pool it shall use; not with ip.")),
    ...Field.dryRun
  },
  output: {
    summary: Field.summary,
    domain: Field.text("The domain as it is routed."),
    backend: Field.backend,
    shares_with: Field.sharesWith,
    wildcard: Field.textOrNull("Wildcard that was added with it."),
    servers: Field.servers,
    ...Field.written,
    ...Field.planned
  },
  program: addDomain
})

export const removeDomainTool = tool({
  name: "haproxy_remove_domain",
  title: "Remove domain",
  scope: "config",
  reach: ["domain"],
  description:
    "Stops routing a domain at once, with the wildcard that came with it. Removing a share leaves the servers; "
    + "removing the last domain of a pool clears and frees it; otherwise the oldest share becomes its owner. Note "
    + "its servers first (haproxy_list_servers).",
  annotations: removes,
  input: { domain: Field.domain, ...Field.force, ...Field.dryRun },
  output: {
    summary: Field.summary,
    domain: Field.text("The domain that is not routed any more."),
    wildcard: Field.textOrNull("Wildcard that left with it."),
    backend: Field.textOrNull("Pool that served it."),
    pool_freed: Field.flag("The pool has no domain left and is free."),
    new_owner: Field.textOrNull("Share that owns the pool now."),
    ...Field.written,
    ...Field.planned
  },
  guarded: true,
  program: removeDomain
})

export const cleanupWildcardsTool = tool({
  name: "haproxy_cleanup_wildcards",
  title: "Clean up wildcards",
  scope: "config",
  description: "Removes wildcards of subdomains (such as *.app.example.com) that nobody added explicitly; those of "
    + "registrable domains stay. Call it with dry_run=true first. What someone added: haproxy_remove_domain, one by "
    + "one.",
  annotations: removes,
  input: { ...Field.force, ...Field.dryRun },
  output: {
    summary: Field.summary,
    dry_run: Field.flag("Nothing was removed: this was a dry run."),
    removed: Field.texts("Wildcards that were (or would be) removed; at most 100 are listed."),
    removed_count: Field.count("How many."),
    kept_explicit: Field.texts("Wildcards of subdomains that someone added; at most 100 are listed."),
    ...Field.written,
    ...Field.planned
  },
  guarded: true,
  program: cleanupWildcards
})
