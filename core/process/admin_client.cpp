#include "core/process/admin_client.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace hyperdrive::core {
namespace {

constexpr std::size_t kMaxBody = 64u << 20;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::size_t append(char* data, std::size_t size, std::size_t count, void* target) {
  auto& body = *static_cast<std::string*>(target);
  if (body.size() + size * count > kMaxBody) return 0;
  body.append(data, size * count);
  return size * count;
}

/// Cuts a stream into lines.
struct LineReader {
  const std::function<bool(std::string_view)>& line;
  std::string rest;
  bool enough = false;
};

std::size_t take_lines(char* data, std::size_t size, std::size_t count, void* target) {
  auto& reader = *static_cast<LineReader*>(target);
  reader.rest.append(data, size * count);
  std::size_t begin = 0;
  for (std::size_t end; (end = reader.rest.find('\n', begin)) != std::string::npos;
       begin = end + 1) {
    const std::string_view text(reader.rest.data() + begin, end - begin);
    if (!text.empty() && !reader.line(text)) {
      reader.enough = true;
      return 0;
    }
  }
  reader.rest.erase(0, begin);
  return size * count;
}

Error unreachable(const std::string& socket, CURLcode code) {
  if (code == CURLE_OPERATION_TIMEDOUT)
    return Error{"The proxy did not answer in time.", "`hyperdrive logs` may tell why.",
                 code::kNone, Exit::kError};
  return Error{
      fmt::format("The proxy does not answer at {}: {}.", socket, curl_easy_strerror(code)),
      "`hyperdrive status` tells whether it runs.", code::kNone, Exit::kError};
}

Result<std::string> body_of(Result<AdminResponse> response) {
  if (!response) return tl::unexpected(response.error());
  if (response->status >= 200 && response->status < 300) return std::move(response->body);
  Error error{fmt::format("The proxy answered with status {}.", response->status), "", code::kNone,
              Exit::kError};
  const auto json = nlohmann::json::parse(response->body, nullptr, false);
  if (json.is_object() && json.contains("error") && json["error"].is_object()) {
    const auto& detail = json["error"];
    const auto text = [&](const char* key, const std::string& otherwise) {
      return detail.contains(key) && detail[key].is_string() ? detail[key].get<std::string>()
                                                             : otherwise;
    };
    error.message = text("message", error.message);
    error.hint = text("hint", "");
    if (detail.contains("code") && detail["code"].is_number_integer())
      error.code = detail["code"].get<int>();
  }
  return tl::unexpected(std::move(error));
}

}  // namespace

struct AdminClient::Impl {
  std::string socket;
  std::chrono::milliseconds timeout;
  CURL* curl = curl_easy_init();

  ~Impl() { curl_easy_cleanup(curl); }

  void prepare(const std::string& path) {
    // The connection is kept from request to request; options are not.
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
    curl_easy_setopt(curl, CURLOPT_URL, ("http://localhost" + path).c_str());
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeout.count()));
  }

  Result<AdminResponse> perform() {
    AdminResponse response;
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &response.body);
    const CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK) return tl::unexpected(unreachable(socket, code));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &response.status);
    return response;
  }

  Result<AdminResponse> post(const std::string& path, std::string_view json) {
    prepare(path);
    std::unique_ptr<curl_slist, FreeList> headers(
        curl_slist_append(nullptr, "Content-Type: application/json"));
    // Without "Expect: 100-continue" a large body goes at once.
    headers.reset(curl_slist_append(headers.release(), "Expect:"));
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(json.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, json.data() ? json.data() : "");
    return perform();
  }
};

AdminClient::AdminClient(std::string socket_path, std::chrono::milliseconds timeout)
    : impl_(std::make_unique<Impl>()) {
  impl_->socket = std::move(socket_path);
  impl_->timeout = timeout;
}
AdminClient::AdminClient(AdminClient&&) noexcept = default;
AdminClient& AdminClient::operator=(AdminClient&&) noexcept = default;
AdminClient::~AdminClient() = default;

Result<AdminResponse> AdminClient::get(const std::string& path) {
  impl_->prepare(path);
  return impl_->perform();
}

Result<AdminResponse> AdminClient::post(const std::string& path, std::string_view json) {
  return impl_->post(path, json);
}

Result<std::string> AdminClient::get_body(const std::string& path) { return body_of(get(path)); }

Result<std::string> AdminClient::post_body(const std::string& path, std::string_view json) {
  return body_of(post(path, json));
}

Result<std::string> AdminClient::post_body(const std::string& path, const Secret& json) {
  return body_of(post(path, json.reveal()));
}

Result<void> AdminClient::stream(const std::string& path,
                                 const std::function<bool(std::string_view)>& line,
                                 const std::function<bool()>& idle, std::function<void()> open) {
  LineReader reader{line, {}, false};
  // curl_easy_perform would ask `idle` about once a second only: hence a loop of our own.
  impl_->prepare(path);
  curl_easy_setopt(impl_->curl, CURLOPT_WRITEFUNCTION, take_lines);
  curl_easy_setopt(impl_->curl, CURLOPT_WRITEDATA, &reader);
  curl_easy_setopt(impl_->curl, CURLOPT_FAILONERROR, 1L);
  CURLM* multi = curl_multi_init();
  curl_multi_add_handle(multi, impl_->curl);
  int running = 1;
  while (running > 0 && !reader.enough) {
    if (curl_multi_perform(multi, &running) != CURLM_OK) break;
    long status = 0;
    curl_easy_getinfo(impl_->curl, CURLINFO_RESPONSE_CODE, &status);
    if (open && status != 0) std::exchange(open, {})();
    if (running > 0) curl_multi_poll(multi, nullptr, 0, 100, nullptr);
    if (idle && !idle()) reader.enough = true;
  }
  CURLcode code = CURLE_OK;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left))
    if (message->msg == CURLMSG_DONE) code = message->data.result;
  curl_multi_remove_handle(multi, impl_->curl);
  curl_multi_cleanup(multi);
  // The proxy's end closes the stream in the middle of a chunk.
  const bool ended = code == CURLE_OK || code == CURLE_RECV_ERROR || code == CURLE_PARTIAL_FILE ||
                     code == CURLE_GOT_NOTHING;
  if (reader.enough || ended) return {};
  return tl::unexpected(unreachable(impl_->socket, code));
}

}  // namespace hyperdrive::core
