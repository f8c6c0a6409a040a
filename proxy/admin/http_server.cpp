// The only file that includes Beast: two acceptors, one coroutine a connection, one thread.
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <chrono>
#include <optional>
#include <thread>

#include "proxy/admin/access.hpp"
#include "proxy/admin/api.hpp"
#include "proxy/admin/dashboard.hpp"
#include "proxy/admin/render.hpp"
#include "proxy/admin/server.hpp"
#include "proxy/admin/socket_file.hpp"

namespace hyperdrive::proxy::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using namespace std::chrono_literals;

// Unix and TCP sockets under one type, so that there is one kind of session.
using Protocol = asio::generic::stream_protocol;
using HttpStream = beast::basic_stream<Protocol, asio::any_io_executor>;
using HttpRequest = http::request<http::string_body>;
using HttpResponse = http::response<http::string_body>;

constexpr std::uint32_t kMaxHeader = 8 * 1024;
constexpr std::uint64_t kMaxBody = 4 * 1024 * 1024;
constexpr auto kRequestTime = 10s;
constexpr auto kIdleTime = 60s;
constexpr auto kWriteTime = 30s;
constexpr auto kKeepAlive = 15s;
constexpr int kMaxConnections = 64;  // to the socket, and as many to the port

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

HttpResponse to_http(const ApiResponse& answer, unsigned version, bool keep_alive) {
  HttpResponse response(static_cast<http::status>(answer.status), version);
  response.set(http::field::content_type, answer.content_type);
  response.set(http::field::cache_control, "no-store");
  response.set("X-Content-Type-Options", "nosniff");
  if (!answer.allow.empty()) response.set(http::field::allow, answer.allow);
  response.keep_alive(keep_alive);
  response.body() = answer.body;
  response.prepare_payload();
  return response;
}

/// What to say when a request could not be read; nothing when the peer is simply gone.
std::optional<ApiResponse> read_failure(const beast::error_code& error) {
  if (error == http::error::end_of_stream || error == beast::error::timeout) return std::nullopt;
  if (error == http::error::header_limit) {
    return error_response(431, {"The request's header is over 8 KiB.", {}});
  }
  if (error == http::error::body_limit) {
    return error_response(413, {"The request's body is over 4 MiB.", {}});
  }
  if (error.category() == make_error_code(http::error::bad_method).category()) {
    return error_response(400, {fmt::format("Not a valid HTTP request: {}.", error.message()), {}});
  }
  return std::nullopt;
}

class Server final : public AdminServer {
 public:
  Server(const AdminOptions& options, AdminBackend& backend, EventHub& events)
      : options_(options), backend_(backend), events_(events) {}

  ~Server() override {
    context_.stop();
    if (thread_.joinable()) thread_.join();
    if (unix_acceptor_) unlink(options_.socket_path.c_str());
  }

  core::Result<void> open() {
    if (auto opened = open_socket(); !opened) return opened;
    if (auto opened = open_port(); !opened) return opened;
    if (unix_acceptor_) {
      asio::co_spawn(context_, accept(*unix_acceptor_, true, socket_connections_), asio::detached);
    }
    if (port_acceptor_) {
      asio::co_spawn(context_, accept(*port_acceptor_, false, port_connections_), asio::detached);
    } else if (options_.port != 0) {
      asio::co_spawn(context_, follow_predecessor(), asio::detached);
    }
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "admin");
      context_.run();
    });
    return {};
  }

  std::uint16_t port() const override { return port_; }

  void leave_port() override {
    asio::post(context_, [this] {
      beast::error_code ignored;
      if (port_acceptor_) port_acceptor_->close(ignored);
    });
  }

 private:
  core::Result<void> open_socket() {
    if (options_.socket_path.empty()) return {};
    const auto fd = listen_on_socket_file(options_.socket_path);
    if (!fd) return tl::unexpected(fd.error());
    unix_acceptor_.emplace(context_, asio::local::stream_protocol(), *fd);
    return {};
  }

  core::Result<void> open_port() {
    if (options_.port == 0) return {};
    if (options_.token.empty()) return core::fail("The admin port needs a token.");
    const asio::ip::tcp::endpoint endpoint(asio::ip::address_v4::loopback(), options_.port);
    asio::ip::tcp::acceptor acceptor(context_);
    beast::error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error == asio::error::address_in_use && options_.port_may_be_taken) return {};
    if (error) {
      return core::fail(
          fmt::format("The admin port {} cannot be opened: {}.", options_.port, error.message()),
          "Choose another with --admin-port, or 0 for none.");
    }
    port_acceptor_.emplace(std::move(acceptor));
    port_ = port_acceptor_->local_endpoint().port();
    access_.emplace(port(), options_.token);
    dashboard_ = access_->dashboard_url();
    return {};
  }

  /// Opens the port as soon as the predecessor has left it.
  asio::awaitable<void> follow_predecessor() {
    while (!port_acceptor_) {
      co_await pause(50ms);
      if (!open_port()) co_return;
    }
    co_await accept(*port_acceptor_, false, port_connections_);
  }

  /// Counted apart: whoever fills the port, which needs no token for that, leaves the socket
  /// usable.
  template <class Acceptor>
  asio::awaitable<void> accept(Acceptor& acceptor, bool from_socket, int& connections) {
    for (;;) {
      auto [error, socket] = co_await acceptor.async_accept(kNoThrow);
      if (error == asio::error::operation_aborted) co_return;
      if (error || connections >= kMaxConnections) {
        // Out of descriptors, or over the limit: the connection is closed; do not spin on it.
        if (error) co_await pause(100ms);
        continue;
      }
      ++connections;
      asio::co_spawn(context_, serve(HttpStream(Protocol::socket(std::move(socket))), from_socket),
                     [&connections](std::exception_ptr) { --connections; });
    }
  }

  asio::awaitable<void> pause(std::chrono::milliseconds time) {
    asio::steady_timer timer(context_, time);
    co_await timer.async_wait(kNoThrow);
  }

  asio::awaitable<void> serve(HttpStream stream, bool from_socket) {
    beast::flat_buffer buffer(kMaxHeader + kMaxBody);
    for (bool first = true;; first = false) {
      http::request_parser<http::string_body> parser;
      parser.header_limit(kMaxHeader);
      parser.body_limit(kMaxBody);
      stream.expires_after(first ? kRequestTime : kIdleTime);
      auto [error, size] = co_await http::async_read_header(stream, buffer, parser, kNoThrow);
      if (!error && !parser.is_done()) {
        stream.expires_after(kRequestTime);
        if (!co_await send_continue(stream, parser.get())) co_return;
        std::tie(error, size) = co_await http::async_read(stream, buffer, parser, kNoThrow);
      }
      if (error) {
        if (const auto answer = read_failure(error)) {
          co_await send(stream, to_http(*answer, 11, false));
        }
        break;
      }
      if (!co_await respond(stream, parser.get(), from_socket)) break;
    }
    beast::error_code ignored;
    stream.socket().shutdown(asio::socket_base::shutdown_send, ignored);
  }

  /// curl asks before it sends a body over 1 kB.
  asio::awaitable<bool> send_continue(HttpStream& stream, const HttpRequest& request) {
    if (!beast::iequals(request[http::field::expect], "100-continue")) co_return true;
    http::response<http::empty_body> go_on(http::status::continue_, request.version());
    const auto [error, size] = co_await http::async_write(stream, go_on, kNoThrow);
    co_return !error;
  }

  asio::awaitable<bool> send(HttpStream& stream, HttpResponse response) {
    stream.expires_after(kWriteTime);
    const bool keep_alive = response.keep_alive();
    const auto [error, size] = co_await http::async_write(stream, response, kNoThrow);
    co_return !error && keep_alive;
  }

  /// False: the connection ends.
  asio::awaitable<bool> respond(HttpStream& stream, const HttpRequest& request, bool from_socket) {
    HttpResponse response = to_http({}, request.version(), request.keep_alive());
    if (!from_socket && enter_by_port(request, response)) co_return co_await send(stream, response);

    const std::string_view target = view(request.target());
    if (path_of(target) == "/v1/events" && request.method() == http::verb::get) {
      co_await stream_events(stream, query_parameter(target, "sql") != "0");
      co_return false;
    }
    ApiResponse answered;
    try {
      answered = answer({view(request.method_string()), target, request.body(), from_socket},
                        backend_, events_.classes(), dashboard_);
    } catch (const std::exception& exception) {
      answered =
          error_response(500, {fmt::format("The request failed: {}.", exception.what()), {}});
    }
    response = to_http(answered, request.version(), request.keep_alive());
    if (request.method() == http::verb::head) {
      // The length of the body, but not the body.
      stream.expires_after(kWriteTime);
      http::response<http::empty_body> head(response.base());
      const auto [error, size] = co_await http::async_write(stream, head, kNoThrow);
      co_return !error && request.keep_alive();
    }
    co_return co_await send(stream, std::move(response));
  }

  /// What the port answers by itself: refusals, the token's exchange, the dashboard. True if it
  /// did.
  bool enter_by_port(const HttpRequest& request, HttpResponse& response) {
    const RequestHeaders headers{
        view(request[http::field::host]), view(request[http::field::origin]),
        view(request[http::field::authorization]), view(request[http::field::cookie])};
    const std::string_view target = view(request.target());
    const std::string_view path = path_of(target);
    const auto reply = [&](const ApiResponse& answered) {
      response = to_http(answered, request.version(), request.keep_alive());
      return true;
    };
    Access access = access_->check(headers);
    if (access == Access::kNoToken && path == "/" &&
        access_->is_token(query_parameter(target, "token"))) {
      reply({303, "text/plain", "", {}});
      response.set(http::field::location, "/");
      response.set(http::field::set_cookie, access_->set_cookie());
      response.set("Referrer-Policy", "no-referrer");
      return true;
    }
    const bool open_to_all = path == "/healthz" || path == "/readyz";
    if (access == Access::kNoToken && open_to_all) access = Access::kGranted;
    if (access == Access::kForeignHost) {
      return reply(error_response(403, {"The Host header is not this machine's own.",
                                        fmt::format("Use 127.0.0.1:{}.", port())}));
    }
    if (access == Access::kForeignOrigin) {
      return reply(error_response(403, {"Pages of other sites may not use this port.", {}}));
    }
    if (access == Access::kNoToken) {
      return reply(error_response(
          401, {"This port needs its token.",
                "`hyperdrive status` shows the dashboard's address with the token; programs send "
                "`Authorization: Bearer TOKEN`."}));
    }
    const auto file = dashboard_file(path);
    if (!file || request.method() != http::verb::get) return false;
    reply({200, file->content_type, std::string(file->body), {}});
    response.set("Content-Security-Policy", kContentSecurityPolicy);
    response.set("Referrer-Policy", "no-referrer");
    response.set("X-Frame-Options", "DENY");
    return true;
  }

  asio::awaitable<void> stream_events(HttpStream& stream, bool with_sql) {
    // The timer serves as a condition: publish() cuts its wait short, on this thread.
    const auto timer = std::make_shared<asio::steady_timer>(context_);
    const auto woken = std::make_shared<bool>(false);
    const auto reader = events_.open([this, timer, woken] {
      asio::post(context_, [timer, woken] {
        *woken = true;
        timer->cancel();
      });
    });
    // How long a reader takes is its own affair: its queue is bounded, and a dead peer resets.
    stream.expires_never();
    http::response<http::empty_body> header(http::status::ok, 11);
    header.set(http::field::content_type, "application/x-ndjson");
    header.set(http::field::cache_control, "no-store");
    header.set("X-Content-Type-Options", "nosniff");
    header.keep_alive(false);
    header.chunked(true);
    http::response_serializer<http::empty_body> serializer(header);
    auto [error, size] = co_await http::async_write_header(stream, serializer, kNoThrow);
    while (!error) {
      if (!*woken) {
        timer->expires_after(kKeepAlive);
        co_await timer->async_wait(kNoThrow);
      }
      *woken = false;
      std::string lines = event_lines(reader->take(), with_sql);
      if (lines.empty()) lines = "\n";
      std::tie(error, size) =
          co_await asio::async_write(stream, http::make_chunk(asio::buffer(lines)), kNoThrow);
    }
  }

  const AdminOptions options_;
  AdminBackend& backend_;
  EventHub& events_;
  asio::io_context context_{1};
  std::optional<asio::local::stream_protocol::acceptor> unix_acceptor_;
  std::optional<asio::ip::tcp::acceptor> port_acceptor_;
  std::atomic<std::uint16_t> port_{0};
  std::optional<PortAccess> access_;
  std::string dashboard_;
  int socket_connections_ = 0;
  int port_connections_ = 0;
  std::thread thread_;
};

}  // namespace

core::Result<std::unique_ptr<AdminServer>> AdminServer::start(const AdminOptions& options,
                                                              AdminBackend& backend,
                                                              EventHub& events) {
  auto server = std::make_unique<Server>(options, backend, events);
  if (auto opened = server->open(); !opened) return tl::unexpected(opened.error());
  return server;
}

}  // namespace hyperdrive::proxy::admin
