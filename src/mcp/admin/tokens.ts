/** Verbs of the command line on bearer tokens. No parameter and no answer holds a secret. */
import * as Schema from "effect/Schema"
import { listTokens, newToken, revokeToken } from "../../program/Tokens.ts"
import { reads, removes, sets, tool } from "../Tool.ts"
import * as Field from "../tools/fields.ts"

const token = Schema.Struct({
  id: Field.text("Its public id."),
  name: Field.text("Who uses it."),
  status: Schema.Literals(["good", "expired", "revoked"]).annotate({ description: "How it stands." }),
  scopes: Field.texts("Its rights."),
  domains: Schema.NullOr(Schema.Array(Schema.String)).annotate({ description: "Only these; null: all." }),
  created: Field.text("ISO 8601 in UTC, as all times."),
  expires: Field.textOrNull("Null: never."),
  revoked: Field.textOrNull("Null: it was not."),
  last_used: Field.textOrNull("To the hour; null: never.")
})

const changed = {
  summary: Field.summary,
  token: token.annotate({ description: "The token." }),
  changed: Field.flag("False: it was so already.")
}

export const newTokenVerb = tool({
  name: "new_token",
  title: "Add a token",
  description: "Adds a bearer token by its id and hash.",
  annotations: { ...sets, idempotentHint: false },
  input: {
    id: Field.text("Ten letters and digits."),
    hash: Field.text("SHA-256 of the token, hexadecimal."),
    name: Field.text("Who uses it."),
    scopes: Field.texts("Its rights."),
    domains: Schema.optionalKey(Field.texts("Only these: names, or *.example.com.")),
    expires: Schema.optionalKey(Schema.Int.annotate({ description: "Milliseconds since 1970." }))
  },
  output: changed,
  program: newToken
})

export const revokeTokenVerb = tool({
  name: "revoke_token",
  title: "Revoke a token",
  description: "Revokes a bearer token for good.",
  annotations: removes,
  input: { id: Field.text("Its id.") },
  output: changed,
  program: revokeToken
})

export const listTokensVerb = tool({
  name: "list_tokens",
  title: "List tokens",
  description: "Lists the bearer tokens of the database, without any secret.",
  annotations: reads,
  input: {},
  output: { summary: Field.summary, tokens: Schema.Array(token).annotate({ description: "Oldest first." }) },
  program: () => listTokens
})
