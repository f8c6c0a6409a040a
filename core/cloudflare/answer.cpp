#include "core/cloudflare/answer.hpp"

#include <fmt/format.h>

namespace hyperdrive::core::cloudflare {
namespace {

using Json = nlohmann::ordered_json;

/// The first 300 bytes on one line, control characters left out: an error must not drive a
/// terminal.
std::string excerpt(std::string_view body) {
  std::string text;
  for (const char c : body.substr(0, 300)) {
    text += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
  }
  return text;
}

std::string_view reason(long status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 409:
      return "Conflict";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "";
  }
}

std::string request_line(std::string_view method, std::string_view path, long status) {
  return fmt::format("{} {} -> {} {}", method, path, status, reason(status));
}

int code_of(const Json& error) {
  const auto code = error.find("code");
  return code != error.end() && code->is_number_integer() ? code->get<int>() : 0;
}

void describe(const Json& error, std::string& text) {
  if (!error.is_object()) return;
  const auto message = error.find("message");
  if (!text.empty()) text += "; ";
  text += message != error.end() && message->is_string() ? excerpt(message->get<std::string>())
                                                         : std::string("no reason given");
  if (const int code = code_of(error)) text += fmt::format(" [code: {}]", code);
  if (const auto chain = error.find("error_chain"); chain != error.end() && chain->is_array()) {
    for (const Json& cause : *chain) describe(cause, text);
  }
}

std::string hint_for(int code, const Reply& reply) {
  if (reply.status == 429) {
    return reply.retry_after.count() > 0
               ? fmt::format("Cloudflare asks to wait {} second(s) before the next request.",
                             reply.retry_after.count())
               : "Wait a little, then try again.";
  }
  if (code == 10000 || code == 6003 || reply.status == 401 || reply.status == 403) {
    return "Check CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID: the token needs the permission "
           "Hyperdrive:Edit for this account.";
  }
  return "";
}

tl::unexpected<Error> malformed(const Reply& reply, std::string_view method,
                                std::string_view path) {
  const std::string line = request_line(method, path, reply.status);
  const std::string ray =
      reply.ray.empty() ? "" : fmt::format(" Cloudflare Ray ID: {}.", excerpt(reply.ray));
  if (reply.status == 403) {
    return fail(fmt::format("The Cloudflare API responded with a WAF block page instead of the "
                            "expected JSON response: {}.{}",
                            line, ray),
                "Cloudflare's firewall blocked this request; this is usually a false positive. If "
                "it persists, open a support ticket with the Ray ID.");
  }
  return fail(fmt::format("Received a malformed response from the API: {}: {}.{}", line,
                          reply.body.empty() ? "an empty body" : excerpt(reply.body), ray),
              "Try again later.");
}

}  // namespace

Verdict judge(const Reply& reply) {
  if (reply.never_sent || reply.status == 429) return Verdict::kLater;
  if (reply.status == 0 || reply.status >= 500) return Verdict::kUnknown;
  if (reply.status < 200 || reply.status >= 300) return Verdict::kRefused;
  if (reply.body.empty()) return Verdict::kDone;
  const Json json = Json::parse(reply.body, nullptr, false);
  if (!json.is_object()) return Verdict::kUnknown;
  const auto success = json.find("success");
  return success != json.end() && *success == false ? Verdict::kRefused : Verdict::kDone;
}

Result<Answer> read_answer(const Reply& reply, std::string_view method, std::string_view path) {
  if (reply.status == 0) {
    return fail(fmt::format("The Cloudflare API could not be reached: {} {}: {}.", method, path,
                            reply.trouble),
                "Check the network and CLOUDFLARE_API_BASE_URL.");
  }
  const bool fine = reply.status >= 200 && reply.status < 300;
  if (fine && reply.body.empty()) return Answer{};
  Json json = Json::parse(reply.body, nullptr, false);
  if (!json.is_object()) return malformed(reply, method, path);
  const auto success = json.find("success");
  if (fine && !(success != json.end() && *success == false)) {
    Answer answer;
    if (json.contains("result")) answer.result = std::move(json["result"]);
    if (json.contains("result_info")) answer.result_info = std::move(json["result_info"]);
    return answer;
  }
  std::string text;
  int code = 0;
  if (const auto errors = json.find("errors"); errors != json.end() && errors->is_array()) {
    for (const Json& error : *errors) {
      if (code == 0 && error.is_object()) code = code_of(error);
      describe(error, text);
    }
  }
  if (text.empty()) return malformed(reply, method, path);
  return fail(fmt::format("A request to the Cloudflare API ({}) failed: {}", path, text),
              hint_for(code, reply), code);
}

}  // namespace hyperdrive::core::cloudflare
