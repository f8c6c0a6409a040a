// `hyperdrive api`: serves Cloudflare's REST shape over the local registry.
#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/api/server.hpp"
#include "cli/api/service.hpp"
#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "core/base/file.hpp"
#include "core/config/text.hpp"
#include "core/secrets/random.hpp"

namespace hyperdrive::cli {
namespace {

constexpr std::uint16_t kDefaultPort = 8790;
constexpr std::size_t kTokenLength = 40;

constexpr Flag kFlags[] = {
    {.name = "port",
     .kind = FlagKind::kNumber,
     .help = "Port on 127.0.0.1 (default: 8790; 0: any free one)"},
    {.name = "token-env", .help = "Name of the environment variable that holds the bearer token"},
    {.name = "token-file", .help = "File that holds the bearer token", .offer = Offer::kFiles},
    {.name = "verify",
     .kind = FlagKind::kBoolean,
     .help = "Connect to the database before a config is created, as Cloudflare does"},
};

constexpr Example kExamples[] = {
    {"hyperdrive api", "makes a token and prints what to set"},
    {"hyperdrive api --port 8790 --token-env API_TOKEN", "in a script"},
    {"CLOUDFLARE_API_BASE_URL=http://127.0.0.1:8790/client/v4 npx wrangler hyperdrive list",
     "the real wrangler on the local registry"},
};

struct Token {
  core::Secret value;
  bool made = false;
};

core::Result<Token> token_of(Context& context) {
  const Arguments& args = context.args();
  if (args.given("token-env") && args.given("token-file")) {
    return core::usage("--token-env and --token-file exclude each other.");
  }
  std::string text;
  std::string source;
  if (const auto name = args.text("token-env")) {
    source = "The environment variable " + *name;
    text = environment_variable(name->c_str()).value_or("");
  } else if (const auto file = args.text("token-file")) {
    source = *file;
    auto read = core::read_file(*file, 4096);
    if (!read) return tl::unexpected(read.error());
    text = std::move(*read);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  } else {
    return Token{core::random_password(kTokenLength), true};
  }
  if (text.empty()) {
    return core::usage(fmt::format("{} holds no token.", source),
                       "Put the token there, or leave the flag out: then one is made.");
  }
  return Token{core::Secret(std::move(text)), false};
}

void announce(Context& context, const Token& token, std::uint16_t port) {
  const std::string url = fmt::format("http://127.0.0.1:{}{}", port, api::kPrefix);
  Output& out = context.out();
  nlohmann::ordered_json document = {
      {"base_url", url}, {"port", port}, {"account_id", api::kAccountId}};
  if (token.made) document["token"] = token.value.reveal();
  out.document_if_json(document);
  if (token.made) out.print(fmt::format("Token: {}", token.value.reveal()));
  out.print(fmt::format("Serving the Hyperdrive API at {}", url));
  out.say("In another terminal:");
  out.say(fmt::format("  export CLOUDFLARE_API_BASE_URL={}", url));
  out.say(fmt::format("  export CLOUDFLARE_ACCOUNT_ID={}", api::kAccountId));
  out.say(token.made ? fmt::format("  export CLOUDFLARE_API_TOKEN={}", token.value.reveal())
                     : "  export CLOUDFLARE_API_TOKEN=…");
  out.say("  npx wrangler hyperdrive list");
  std::fflush(stdout);
}

Outcome serve_api(Context& context) {
  std::uint16_t port = kDefaultPort;
  if (const auto text = context.args().text("port")) {
    const auto number = core::parse_integer(*text, "--port", 0, 65535);
    if (!number) return tl::unexpected(number.error());
    port = static_cast<std::uint16_t>(*number);
  }
  auto token = token_of(context);
  if (!token) return tl::unexpected(token.error());
  if (auto registry = context.registry(); !registry) return tl::unexpected(registry.error());
  api::Service service(context, token->value);
  const auto handle = [&](const api::Request& request) {
    const auto begin = std::chrono::steady_clock::now();
    api::Answer answer = service.handle(request);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - begin);
    context.out().note(fmt::format("{} {} {} {}ms", printable(request.method),
                                   printable(request.target), answer.status, took.count()));
    return answer;
  };
  auto signal =
      api::serve(port, handle, [&](std::uint16_t bound) { announce(context, *token, bound); });
  if (!signal) return tl::unexpected(signal.error());
  return *signal == SIGINT ? static_cast<int>(core::Exit::kInterrupted) : 0;
}

}  // namespace

const Command kApi{
    .path = "api",
    .summary = "Serve Cloudflare's REST API over the local registry",
    .details =
        "The real wrangler, the Cloudflare SDKs and Terraform can manage the configs of this "
        "machine through it. Loopback only; every request needs the bearer token; passwords "
        "go in, never out.",
    .flags = kFlags,
    .examples = kExamples,
    .run = serve_api,
};

}  // namespace hyperdrive::cli
