#include "cli/api/server.hpp"

#include <fmt/format.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

namespace hyperdrive::cli::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::uint32_t kHeaderLimit = 16 * 1024;
constexpr std::uint64_t kBodyLimit = 1024 * 1024;
constexpr auto kRequestTime = std::chrono::seconds(30);
constexpr int kMostConnections = 256;

using Parser = http::request_parser<http::string_body>;

Request request_of(const http::request<http::string_body>& message) {
  const auto header = [&](const auto& name) {
    const auto found = message.find(name);
    return found == message.end() ? std::string() : std::string(found->value());
  };
  return {.method = std::string(message.method_string()),
          .target = std::string(message.target()),
          .host = header(http::field::host),
          .authorization = header(http::field::authorization),
          .auth_key = header("X-Auth-Key"),
          .body = message.body()};
}

http::response<http::string_body> response_of(const Answer& answer, unsigned version,
                                              bool keep_alive) {
  http::response<http::string_body> response(http::status(answer.status), version);
  response.set(http::field::content_type, "application/json");
  response.set(http::field::cache_control, "no-store");
  response.keep_alive(keep_alive);
  response.body() = answer.body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  response.prepare_payload();
  return response;
}

/// Counts a connection for as long as it lives.
class Counted {
 public:
  explicit Counted(int& count) : count_(count) { ++count_; }
  Counted(const Counted&) = delete;
  ~Counted() { --count_; }

 private:
  int& count_;
};

Answer unreadable(const error_code& error) {
  const bool large = error == http::error::body_limit || error == http::error::header_limit;
  return failure(large ? 413 : 400, 1001,
                 large ? "The request is too large" : "The request is not valid HTTP");
}

asio::awaitable<void> converse(tcp::socket socket, const Handler& handler, int& count) {
  const Counted counted(count);
  beast::tcp_stream stream(std::move(socket));
  beast::flat_buffer buffer(kHeaderLimit + 64 * 1024);
  for (bool more = true; more;) {
    Parser parser;
    parser.header_limit(kHeaderLimit);
    parser.body_limit(kBodyLimit);
    stream.expires_after(kRequestTime);
    error_code error;
    co_await http::async_read(stream, buffer, parser,
                              asio::redirect_error(asio::use_awaitable, error));
    if (error == http::error::end_of_stream || error == beast::error::timeout ||
        (error && error.category() == asio::error::get_system_category())) {
      break;
    }
    more = !error && parser.get().keep_alive();
    const Answer answer = error ? unreadable(error) : handler(request_of(parser.get()));
    const auto response = response_of(answer, parser.get().version(), more);
    stream.expires_after(kRequestTime);
    co_await http::async_write(stream, response, asio::redirect_error(asio::use_awaitable, error));
    if (error) break;
  }
  error_code ignored;
  stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

asio::awaitable<void> accept_all(tcp::acceptor& acceptor, const Handler& handler, int& count) {
  for (;;) {
    error_code error;
    tcp::socket socket =
        co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted) co_return;
    // One too many is closed at once; it may come back.
    if (error || count >= kMostConnections) continue;
    asio::co_spawn(acceptor.get_executor(), converse(std::move(socket), handler, count),
                   asio::detached);
  }
}

error_code listen_on(tcp::acceptor& acceptor, const tcp::endpoint& endpoint) {
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  return error;
}

}  // namespace

core::Result<int> serve(std::uint16_t port, const Handler& handler,
                        const std::function<void(std::uint16_t)>& ready) {
  asio::io_context loop(1);
  tcp::acceptor four(loop), six(loop);
  if (const auto error = listen_on(four, {asio::ip::address_v4::loopback(), port})) {
    return core::fail(fmt::format("Cannot listen on 127.0.0.1:{}: {}.", port, error.message()),
                      "Choose another port: --port N (0: any free one).");
  }
  port = four.local_endpoint().port();
  // A machine without IPv6 is fine.
  const bool has_six = !listen_on(six, {asio::ip::address_v6::loopback(), port});
  int signal = 0;
  int count = 0;
  asio::signal_set signals(loop, SIGINT, SIGTERM);
  signals.async_wait([&](const error_code&, int number) {
    signal = number;
    loop.stop();
  });
  asio::co_spawn(loop, accept_all(four, handler, count), asio::detached);
  if (has_six) asio::co_spawn(loop, accept_all(six, handler, count), asio::detached);
  ready(port);
  loop.run();
  return signal;
}

}  // namespace hyperdrive::cli::api
