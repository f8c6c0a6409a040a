// Cloudflare's REST API for Hyperdrive configs, as a client (libcurl).
//
// Synchronous; one Client per thread. Reads (GET) and idempotent writes (PATCH, PUT, DELETE) are
// retried with back-off and jitter on 429 (Retry-After obeyed), 5xx and network trouble. A POST is
// sent again only when the lost one is known not to have happened: the list is searched for the
// name first. The token goes into a request header and nowhere else: no argv, no log, no Error.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/secret.hpp"

namespace hyperdrive::core::cloudflare {

inline constexpr std::string_view kDefaultBaseUrl = "https://api.cloudflare.com/client/v4";

/// Who asks and where. Either the token, or the global key with its e-mail address.
struct Account {
  std::string base_url{kDefaultBaseUrl};
  std::string account_id;  ///< empty: asked for (/memberships, the only one there is)
  Secret token;
  Secret api_key;
  std::string email;
};

/// Looks a variable up; nullopt if it is not set.
using Lookup = std::function<std::optional<std::string>(std::string_view name)>;

/// From CLOUDFLARE_API_TOKEN (CF_API_TOKEN, deprecated), CLOUDFLARE_API_KEY + CLOUDFLARE_EMAIL,
/// CLOUDFLARE_ACCOUNT_ID (CF_ACCOUNT_ID), CLOUDFLARE_API_BASE_URL.
Result<Account> account_from(const Lookup& lookup);

/// How often and how long to try. Tests shorten the times.
struct Patience {
  int attempts = 5;
  std::chrono::milliseconds first_wait{500};
  std::chrono::milliseconds longest_wait{30'000};
  std::chrono::milliseconds timeout{30'000};  ///< of one request
};

class Client {
 public:
  explicit Client(Account account, Patience patience = {});
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  /// Every config of the account, all pages, each as Cloudflare gives it.
  Result<std::vector<nlohmann::ordered_json>> list();
  Result<nlohmann::ordered_json> get(const std::string& id);
  /// `body` has the recorded shape (shared `name`, `origin` with its secrets, …).
  Result<nlohmann::ordered_json> create(const nlohmann::ordered_json& body);
  Result<nlohmann::ordered_json> patch(const std::string& id, const nlohmann::ordered_json& body);
  Result<void> remove(const std::string& id);

  /// The account's id, asked for once if the Account had none.
  Result<std::string> account_id();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hyperdrive::core::cloudflare
