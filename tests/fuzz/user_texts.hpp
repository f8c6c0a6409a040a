// What the fuzzer and the deterministic unit test feed to the readers of what people write:
// connection strings, configuration documents, wrangler files, .env files.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/connection_string.hpp"
#include "core/config/declaration.hpp"
#include "core/config/json.hpp"
#include "core/wrangler/dotenv.hpp"
#include "core/wrangler/edit.hpp"

namespace hyperdrive::tests::fuzz {

namespace wrangler = hyperdrive::core::wrangler;

inline void holds(bool true_always) {
  if (!true_always) std::abort();
}

/// What reads is written as a URL that reads back; what does not never repeats the password.
inline void connection_string(std::string_view input) {
  const auto read = core::parse_connection_string(input);
  if (!read) {
    holds(read.error().message.find("s3cr3tpw") == std::string::npos);
    holds(read.error().hint.find("s3cr3tpw") == std::string::npos);
    return;
  }
  const auto again = core::parse_connection_string(core::connection_string(read->origin).reveal());
  holds(again.has_value());
  holds(again->origin.host == read->origin.host && again->origin.user == read->origin.user &&
        again->origin.database == read->origin.database &&
        again->origin.port == read->origin.port &&
        again->origin.password.reveal() == read->origin.password.reveal());
}

/// A binding that goes in comes out, and the file is what it was.
inline void wrangler_file(std::string_view input, wrangler::Format format) {
  constexpr std::string_view kId = "0123456789abcdef0123456789abcdef";
  (void)wrangler::read_bindings(input, format, "x");
  for (const std::string_view environment : {"", "staging"}) {
    const auto bound = wrangler::bind(input, format, {"x", environment}, "FUZZED", kId);
    if (!bound) continue;
    const auto reading = wrangler::read_bindings(*bound, format, "x");
    holds(reading.has_value());
    const auto before = wrangler::read_bindings(input, format, "x");
    bool there = false;
    for (const auto& binding : before->bindings) there = there || binding.name == "FUZZED";
    const auto back = wrangler::unbind(*bound, format, {"x", environment}, "FUZZED");
    holds(back.has_value());
    holds(there || *back == input);
  }
}

inline void user_texts(std::string_view input) {
  connection_string(input);
  (void)core::parse_launch(input);
  (void)core::parse_ready(input);
  const auto secret = [](std::string_view) -> core::Result<core::Secret> {
    return core::Secret("x");
  };
  (void)core::read_declarations(input, core::DeclarationFormat::kToml, secret);
  (void)core::read_declarations(input, core::DeclarationFormat::kJson, secret);
  wrangler_file(input, wrangler::Format::kToml);
  wrangler_file(input, wrangler::Format::kJsonc);
  wrangler::parse_dotenv(input);
  const std::string env = wrangler::set_dotenv(input, {{"HYPERDRIVE_X", "a'b\"c\\ $d#"}});
  (void)env;
}

inline const std::vector<std::string>& user_seeds() {
  static const std::vector<std::string> seeds = {
      "postgres://ada:s3cr3tpw@db.example.com:5432/shop?sslmode=verify-full&sslrootcert=system",
      "mysql://ada:s3cr3tpw@[::1]:3306/shop?ssl-mode=REQUIRED",
      "postgresql://a%40b:s3cr3tpw%2F%5E@127.0.0.1/caf%C3%A9",
      "name = \"x\"\n\n[[hyperdrive]]\nbinding = \"DB\"\nid = \"0123\"\nlocalConnectionString = "
      "'''a'''\n\n[env.staging]\nvars = { A = 1, B = [1, 2, {c = 3}] "
      "}\n[[env.staging.hyperdrive]]\n"
      "binding = \"B\"\nid = \"1\" # c\n",
      "hyperdrive = [ { binding = \"A\", id = \"1\" },\n  # c\n]\nenv.staging.name = \"y\"\nd = "
      "1979-05-27T07:32:00Z\nm = \"\"\"\n\\\n x\"\"\"\n",
      "// c\n{\n  \"name\": \"x\", /* c */\n  \"hyperdrive\": [\n    { \"binding\": \"DB\", "
      "\"id\": "
      "\"0\" },\n  ],\n  \"env\": { \"staging\": { \"hyperdrive\": [] } },\n}\n",
      "{\"config\":{\"origin\":{\"scheme\":\"postgres\",\"host\":\"h\",\"port\":5432},\"local\":{"
      "\"workers\":3}},\"listen_fds\":[1]}",
      "{\"ready\":true,\"port\":15432}",
      "[[config]]\nname = \"a\"\n[config.origin]\nhost = \"h\"\nuser = \"u\"\ndatabase = \"d\"\n"
      "password = \"env:X\"\n",
      "A=1\nexport B=\"x\\n$A\"\nC='y'\n# c\nD=`z`\nHYPERDRIVE_X=\"old\n\"\n",
  };
  return seeds;
}

}  // namespace hyperdrive::tests::fuzz
