#include "core/cloudflare/http.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>

namespace hyperdrive::core::cloudflare {
namespace {

constexpr std::size_t kLargestBody = 64u << 20;

struct Received {
  Reply* reply;
  bool too_large = false;
};

std::size_t take_body(char* data, std::size_t, std::size_t size, void* context) {
  auto& received = *static_cast<Received*>(context);
  if (received.reply->body.size() + size > kLargestBody) {
    received.too_large = true;
    return 0;
  }
  received.reply->body.append(data, size);
  return size;
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

bool is_header(std::string_view line, std::string_view name) {
  return line.size() > name.size() && line[name.size()] == ':' &&
         std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) {
           return a == static_cast<char>(b >= 'A' && b <= 'Z' ? b | 0x20 : b);
         });
}

std::size_t take_header(char* data, std::size_t, std::size_t size, void* context) {
  Reply& reply = *static_cast<Received*>(context)->reply;
  const std::string_view line(data, size);
  const auto value = [&] { return trimmed(line.substr(line.find(':') + 1)); };
  if (is_header(line, "content-type")) reply.content_type = value();
  if (is_header(line, "cf-ray")) reply.ray = value();
  if (is_header(line, "retry-after")) {
    long seconds = 0;
    const std::string_view text = value();
    std::from_chars(text.data(), text.data() + text.size(), seconds);
    reply.retry_after = std::chrono::seconds(std::max(0L, seconds));
  }
  return size;
}

/// Whether curl failed before a byte of the request went out.
bool failed_before_sending(CURLcode code) {
  return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
         code == CURLE_COULDNT_CONNECT || code == CURLE_SSL_CONNECT_ERROR ||
         code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_URL_MALFORMAT ||
         code == CURLE_UNSUPPORTED_PROTOCOL;
}

/// The header list, wiped when it goes: one of its lines is the token.
struct Headers {
  ~Headers() {
    for (curl_slist* line = list; line; line = line->next) {
      volatile char* bytes = line->data;
      for (std::size_t i = 0, n = std::string_view(line->data).size(); i < n; ++i) bytes[i] = 0;
    }
    curl_slist_free_all(list);
  }
  void add(const std::string& line) { list = curl_slist_append(list, line.c_str()); }
  curl_slist* list = nullptr;
};

}  // namespace

struct Http::State {
  State() {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)ready;
    curl = curl_easy_init();
  }
  ~State() { curl_easy_cleanup(curl); }
  CURL* curl;
};

Http::Http() : state_(std::make_unique<State>()) {}
Http::~Http() = default;
Http::Http(Http&&) noexcept = default;
Http& Http::operator=(Http&&) noexcept = default;

Reply Http::send(const Request& request) {
  CURL* curl = state_->curl;
  curl_easy_reset(curl);
  Reply reply;
  Received received{&reply};
  Headers headers;
  for (const Secret& line : request.headers) headers.add(std::string(line.reveal()));
  headers.add("Expect:");
  const bool has_body = !request.body.empty();
  if (has_body) headers.add("Content-Type: application/json");

  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);  // a redirect would carry the token away
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.list);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "hyperdrive");
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  // On a kept connection that the server has closed curl would send the request again by itself;
  // whether a POST may be sent again is for the caller to find out.
  if (request.method == "POST") curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
  if (has_body) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.reveal().size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.reveal().data());
  }
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &received);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &received);

  const CURLcode code = curl_easy_perform(curl);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
  if (code != CURLE_OK) {
    reply.trouble = received.too_large ? "the answer is too large" : curl_easy_strerror(code);
    reply.never_sent = failed_before_sending(code);
    reply.status = 0;
  }
  return reply;
}

std::string Http::escape(std::string_view path_segment) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string result;
  for (const char c : path_segment) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       std::string_view("-_.~").find(c) != std::string_view::npos;
    if (plain) {
      result += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      result += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return result;
}

}  // namespace hyperdrive::core::cloudflare
