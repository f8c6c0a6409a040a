#include "core/cloudflare/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "core/cloudflare/answer.hpp"
#include "core/cloudflare/http.hpp"

namespace hyperdrive::core::cloudflare {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr int kMostPages = 10'000;

std::string text_at(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// Whether a config at Cloudflare is what this create would have made.
bool is_made_by(const Json& config, const Json& body) {
  static const Json kNothing = Json::object();
  const Json& there = config.contains("origin") ? config["origin"] : kNothing;
  const Json& wanted = body.contains("origin") ? body["origin"] : kNothing;
  const auto same = [&](const char* key) { return text_at(there, key) == text_at(wanted, key); };
  return same("host") && same("database") && same("user") && same("service_id");
}

}  // namespace

struct Client::State {
  Account account;
  Patience patience;
  Http http;
  std::mt19937 random{std::random_device{}()};

  Reply send_once(const std::string& method, const std::string& path, const Json& body);
  milliseconds wait_before(int attempt, const Reply& reply);
  bool wait(int attempt, const Reply& reply);
  Result<Answer> ask(const std::string& method, const std::string& path, const Json& body = {});
  Result<std::vector<Json>> all_pages(const std::string& path);
  Result<std::string> configs_path(const std::string& id = {});
  Result<Json> find_by_name(const std::string& name);
  Result<std::string> discover_account();
};

Reply Client::State::send_once(const std::string& method, const std::string& path,
                               const Json& body) {
  Request request{.method = method, .url = account.base_url + path, .timeout = patience.timeout};
  if (!account.token.empty()) {
    request.headers.emplace_back("Authorization: Bearer " + std::string(account.token.reveal()));
  } else {
    request.headers.emplace_back("X-Auth-Key: " + std::string(account.api_key.reveal()));
    request.headers.emplace_back("X-Auth-Email: " + account.email);
  }
  if (!body.is_null()) request.body = Secret(body.dump());
  return http.send(request);
}

/// Exponential, half of it at random so that many clients do not come back together.
milliseconds Client::State::wait_before(int attempt, const Reply& reply) {
  if (reply.retry_after.count() > 0) return reply.retry_after;
  const auto whole = std::min(patience.longest_wait, patience.first_wait * (1 << attempt));
  std::uniform_int_distribution<milliseconds::rep> jitter(whole.count() / 2, whole.count());
  return milliseconds(jitter(random));
}

/// False: no further try.
bool Client::State::wait(int attempt, const Reply& reply) {
  if (attempt + 1 >= patience.attempts) return false;
  const auto pause = wait_before(attempt, reply);
  if (pause > patience.longest_wait) return false;
  std::this_thread::sleep_for(pause);
  return true;
}

/// Any request that may be carried out twice without harm.
Result<Answer> Client::State::ask(const std::string& method, const std::string& path,
                                  const Json& body) {
  for (int attempt = 0;; ++attempt) {
    const Reply reply = send_once(method, path, body);
    const Verdict verdict = judge(reply);
    // A delete whose answer was lost has happened if the config is gone now.
    if (method == "DELETE" && attempt > 0 && reply.status == 404) return Answer{};
    const bool again = verdict == Verdict::kLater || verdict == Verdict::kUnknown;
    if (!again || !wait(attempt, reply)) {
      const auto query = path.find('?');
      return read_answer(reply, method, path.substr(0, query));
    }
  }
}

Result<std::vector<Json>> Client::State::all_pages(const std::string& path) {
  std::vector<Json> items;
  for (int page = 1; page <= kMostPages; ++page) {
    auto answer = ask("GET", fmt::format("{}?page={}", path, page));
    if (!answer) return tl::unexpected(answer.error());
    if (answer->result.is_null()) return items;
    if (!answer->result.is_array()) {
      return fail(
          fmt::format("The Cloudflare API answered {} with something else than a list.", path));
    }
    for (Json& item : answer->result) items.push_back(std::move(item));
    const Json& info = answer->result_info;
    const auto number = [&](const char* key) {
      return info.is_object() && info.contains(key) && info[key].is_number_integer()
                 ? info[key].get<long>()
                 : -1;
    };
    const long total = number("total_count");
    if (answer->result.empty() || total < 0 || static_cast<long>(items.size()) >= total) break;
  }
  return items;
}

Result<std::string> Client::State::discover_account() {
  std::vector<std::pair<std::string, std::string>> found;
  for (const char* path : {"/accounts", "/memberships"}) {
    auto items = all_pages(path);
    if (!items) {
      // A token may be allowed to see one of the two lists only.
      if (path == std::string_view("/accounts")) continue;
      return tl::unexpected(items.error());
    }
    for (const Json& item : *items) {
      const bool nested = item.is_object() && item.contains("account");
      const Json& owner = nested ? item["account"] : item;
      if (const std::string id = text_at(owner, "id"); !id.empty()) {
        found.emplace_back(id, text_at(owner, "name"));
      }
    }
    if (!found.empty()) break;
  }
  if (found.size() == 1) return found.front().first;
  if (found.empty()) {
    return fail("The API token belongs to no account.",
                "Set CLOUDFLARE_ACCOUNT_ID to the id of the account.");
  }
  std::string list;
  for (const auto& [id, name] : found) list += fmt::format("\n  {}  {}", id, name);
  return fail("The API token belongs to more than one account.",
              "Set CLOUDFLARE_ACCOUNT_ID to one of them:" + list);
}

Result<std::string> Client::State::configs_path(const std::string& id) {
  if (account.account_id.empty()) {
    auto found = discover_account();
    if (!found) return tl::unexpected(found.error());
    account.account_id = *found;
  }
  return fmt::format("/accounts/{}/hyperdrive/configs{}{}", Http::escape(account.account_id),
                     id.empty() ? "" : "/", Http::escape(id));
}

/// Null if there is none of this name.
Result<Json> Client::State::find_by_name(const std::string& name) {
  auto path = configs_path();
  if (!path) return tl::unexpected(path.error());
  auto configs = all_pages(*path);
  if (!configs) return tl::unexpected(configs.error());
  const auto found = std::find_if(configs->begin(), configs->end(), [&](const Json& config) {
    return text_at(config, "name") == name;
  });
  return found == configs->end() ? Json() : *found;
}

Client::Client(Account account, Patience patience) : state_(std::make_unique<State>()) {
  while (account.base_url.ends_with('/')) account.base_url.pop_back();
  state_->account = std::move(account);
  state_->patience = patience;
}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<std::string> Client::account_id() {
  if (auto path = state_->configs_path(); !path) return tl::unexpected(path.error());
  return state_->account.account_id;
}

Result<std::vector<Json>> Client::list() {
  auto path = state_->configs_path();
  if (!path) return tl::unexpected(path.error());
  return state_->all_pages(*path);
}

Result<Json> Client::get(const std::string& id) {
  auto path = state_->configs_path(id);
  if (!path) return tl::unexpected(path.error());
  auto answer = state_->ask("GET", *path);
  if (!answer) return tl::unexpected(answer.error());
  return std::move(answer->result);
}

Result<Json> Client::create(const Json& body) {
  auto path = state_->configs_path();
  if (!path) return tl::unexpected(path.error());
  const std::string name = text_at(body, "name");
  bool lost = false;  // an earlier try may have been carried out
  for (int attempt = 0;; ++attempt) {
    const Reply reply = state_->send_once("POST", *path, body);
    const Verdict verdict = judge(reply);
    auto answer = read_answer(reply, "POST", *path);
    const bool has_id = answer && !text_at(answer->result, "id").empty();
    if (verdict == Verdict::kDone && has_id) return std::move(answer->result);

    const bool taken = !answer && answer.error().code == code::kNameTaken;
    if (verdict == Verdict::kUnknown || verdict == Verdict::kDone || (taken && lost)) {
      lost = true;
      auto present = state_->find_by_name(name);
      if (!present) {
        return fail(fmt::format("Whether '{}' was created at Cloudflare is not known: {}", name,
                                present.error().message),
                    "Nothing was repeated. Run the command again: it looks the name up first.");
      }
      if (!present->is_null() && is_made_by(*present, body)) return std::move(*present);
      if (!present->is_null()) {
        return fail("A Hyperdrive config with the given name already exists [code: 2017]", "",
                    code::kNameTaken);
      }
    } else if (verdict == Verdict::kRefused) {
      return tl::unexpected(answer.error());
    }
    if (!state_->wait(attempt, reply)) {
      if (!answer) return tl::unexpected(answer.error());
      return fail("The Cloudflare API answered the creation without a config.", "Try again.");
    }
  }
}

Result<Json> Client::patch(const std::string& id, const Json& body) {
  auto path = state_->configs_path(id);
  if (!path) return tl::unexpected(path.error());
  auto answer = state_->ask("PATCH", *path, body);
  if (!answer) return tl::unexpected(answer.error());
  return std::move(answer->result);
}

Result<void> Client::remove(const std::string& id) {
  auto path = state_->configs_path(id);
  if (!path) return tl::unexpected(path.error());
  auto answer = state_->ask("DELETE", *path);
  if (!answer) return tl::unexpected(answer.error());
  return {};
}

Result<Account> account_from(const Lookup& lookup) {
  const auto first_of = [&](std::initializer_list<const char*> names) -> std::string {
    for (const char* name : names) {
      if (auto value = lookup(name); value && !value->empty()) return *value;
    }
    return {};
  };
  Account account;
  account.token = Secret(first_of({"CLOUDFLARE_API_TOKEN", "CF_API_TOKEN"}));
  account.api_key = Secret(first_of({"CLOUDFLARE_API_KEY", "CF_API_KEY"}));
  account.email = first_of({"CLOUDFLARE_EMAIL", "CF_EMAIL"});
  account.account_id = first_of({"CLOUDFLARE_ACCOUNT_ID", "CF_ACCOUNT_ID"});
  if (auto base = first_of({"CLOUDFLARE_API_BASE_URL", "CF_API_BASE_URL"}); !base.empty()) {
    account.base_url = base;
  }
  if (account.token.empty() && (account.api_key.empty() || account.email.empty())) {
    return fail("There is no Cloudflare API token.",
                "Set CLOUDFLARE_API_TOKEN in the environment or in .env; "
                "https://developers.cloudflare.com/fundamentals/api/get-started/create-token/ "
                "tells how to make one.");
  }
  const bool printable = std::all_of(account.token.reveal().begin(), account.token.reveal().end(),
                                     [](char c) { return c > 0x20 && c < 0x7F; });
  if (!printable) {
    return fail("CLOUDFLARE_API_TOKEN holds blanks or other characters that no token has.",
                "Copy the token again.");
  }
  return account;
}

}  // namespace hyperdrive::core::cloudflare
