import { expect, test } from "bun:test";
import { isSecretVariable } from "./secret-names.ts";

test.each([
  "NPM_TOKEN",
  "GITHUBTOKEN",
  "API_KEY",
  "APIKEY",
  "KEY",
  "AWS_SECRET_ACCESS_KEY",
  "aws_access_key_id",
  "DB_PASSWORD",
  "PGPASSWORD",
  "MYSQL_PWD",
  "SSH_PRIVATE_KEY",
  "GOOGLE_APPLICATION_CREDENTIALS",
  "BASIC_AUTH",
  "SIGNING_KEY_2",
  "GITLAB_PAT",
])("a variable named %s is taken for a secret", (name) => {
  expect(isSecretVariable(name, "0123456789")).toBe(true);
});

test.each([
  "PATH",
  "KEYBOARD",
  "MONKEY",
  "DEBUG",
  "AUTHOR",
  "COMPASS_URL",
  "SPINNER",
  "PIPELINE_URL",
  "TURKEY",
])("a variable named %s is not", (name) => {
  expect(isSecretVariable(name, "0123456789")).toBe(false);
});

test("a value under 8 characters is no secret: it stands in many an honest request", () => {
  expect([isSecretVariable("API_KEY", "1234567"), isSecretVariable("API_KEY", "12345678")]).toEqual([
    false,
    true,
  ]);
});
