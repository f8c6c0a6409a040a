// One HTTP request by libcurl, whole bodies in memory. Used by Client only; one thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/base/secret.hpp"

namespace hyperdrive::core::cloudflare {

struct Request {
  std::string method = "GET";
  std::string url;
  std::vector<Secret> headers;  ///< `Name: value`; they may hold the token
  Secret body;                  ///< empty: none; it may hold an origin's password
  std::chrono::milliseconds timeout{30'000};
};

struct Reply {
  long status = 0;  ///< 0: no answer came
  std::string body;
  std::string content_type;
  std::string ray;  ///< CF-Ray
  std::chrono::seconds retry_after{0};
  std::string trouble;      ///< curl's words if no (whole) answer came
  bool never_sent = false;  ///< then certainly nothing reached the server
};

class Http {
 public:
  Http();
  ~Http();
  Http(Http&&) noexcept;
  Http& operator=(Http&&) noexcept;

  Reply send(const Request& request);
  static std::string escape(std::string_view path_segment);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hyperdrive::core::cloudflare
