#include "proxy/session/postgres/side_connection.hpp"

#include <algorithm>
#include <utility>

#include "proxy/net/sockets.hpp"
#include "proxy/wire/postgres/build.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace wire = wire::postgres;
using wire::Backend;

namespace {

constexpr std::chrono::seconds kWatch{5};

}  // namespace

SideConnection::SideConnection(std::unique_ptr<net::Stream> stream,
                               std::function<void(std::string)> on_lost)
    : stream_(std::move(stream)), on_lost_(std::move(on_lost)) {
  stream_->set_handler(this);
  stream_->resume_reading();
  watch_ = stream_->loop().timer([this] { watch(); });
}

SideConnection::~SideConnection() { *alive_ = false; }

void SideConnection::ask(std::string sql, OnRow on_row, Done done) {
  questions_.push_back({std::move(sql), std::move(on_row), {}, std::move(done), {}, 0});
  if (questions_.size() == 1) send_next();
}

void SideConnection::stream(std::string command, OnCopyData on_data, Done done) {
  questions_.push_back({std::move(command), {}, std::move(on_data), std::move(done), {}, 0});
  if (questions_.size() == 1) send_next();
}

void SideConnection::send(std::string_view messages) { stream_->write(messages); }

void SideConnection::close(std::function<void()> closed) {
  constexpr std::chrono::seconds kPatience{2};
  std::string goodbye;
  wire::append_empty(goodbye, wire::Frontend::kTerminate);
  watch_->disarm();
  stream_->set_handler(nullptr);
  stream_->write(goodbye);
  net::Loop& loop = stream_->loop();
  loop.close_later(std::move(stream_), kPatience, std::move(closed));
}

void SideConnection::send_next() {
  if (questions_.empty()) return;
  std::string message;
  wire::append_query(message, questions_.front().sql);
  stream_->write(message);
  watch_->arm(kWatch);
}

/// Otherwise nobody would ask again for as long as the kernel repeats the question.
void SideConnection::watch() {
  if (questions_.empty() || copy_) return;
  if (net::peer_has_vanished(stream_->fd())) return fail_all("the origin does not answer any more");
  watch_->arm(kWatch);
}

std::size_t SideConnection::on_data(net::Bytes data) {
  const auto alive = alive_;
  std::size_t used = 0;
  while (true) {
    const std::size_t step = one_message(data.substr(used));
    if (!*alive) return 0;
    if (step == 0) return used;
    used += step;
  }
}

std::size_t SideConnection::one_message(net::Bytes data) {
  if (skip_ > 0) {
    const std::size_t skipped = std::min(skip_, data.size());
    skip_ -= skipped;
    return skipped;
  }
  const auto [status, header] = wire::read_header(data);
  if (status == wire::ReadStatus::kNeedMore) return 0;
  if (status != wire::ReadStatus::kOk) {
    fail_all("the origin sent what is no message");
    return 0;
  }
  // A row of the log may be a gigabyte long; its beginning says what is needed.
  const bool cut = copy_ && header.is(Backend::kCopyData) && header.size() > kMaxCopyData;
  const std::size_t wanted = cut ? kMaxCopyData : header.size();
  if (data.size() < wanted) return 0;
  if (cut) skip_ = header.size() - wanted;
  message(header.type, data.substr(wire::kHeaderSize, wanted - wire::kHeaderSize));
  return wanted;
}

void SideConnection::message(char type, std::string_view body) {
  if (copy_ && type == static_cast<char>(Backend::kCopyData)) return copy_(body);
  if (questions_.empty()) {
    if (type == static_cast<char>(Backend::kErrorResponse)) {
      const auto fields = wire::parse_error_response(body);
      fail_all(fields ? std::string(fields->message) : "the origin closed the connection");
    }
    return;
  }
  Question& question = questions_.front();
  switch (static_cast<Backend>(type)) {
    case Backend::kRowDescription:
      ++question.results;
      return;
    case Backend::kDataRow:
      return row(body);
    case Backend::kErrorResponse: {
      const auto fields = wire::parse_error_response(body);
      question.error = core::Error{};
      question.error->message = fields ? std::string(fields->message) : "an error without words";
      question.error->hint = fields ? std::string(fields->hint) : "";
      return;
    }
    case Backend::kCopyBothResponse:
      copy_ = std::move(question.on_data);
      return finish_question();
    case Backend::kReadyForQuery:
      return finish_question();
    default:
      return;
  }
}

void SideConnection::row(std::string_view body) {
  Question& question = questions_.front();
  const auto values = wire::parse_data_row(body);
  if (!values || question.results == 0) return;
  columns_.assign(values->begin(), values->end());
  if (question.on_row) question.on_row(question.results - 1, columns_);
}

void SideConnection::finish_question() {
  const auto alive = alive_;
  Question question = std::move(questions_.front());
  questions_.pop_front();
  if (!copy_) send_next();
  if (question.error) {
    question.done(tl::unexpected(std::move(*question.error)));
  } else {
    question.done({});
  }
}

void SideConnection::on_closed(net::CloseReason) {
  const std::string why = stream_->error();
  fail_all(why.empty() ? "the origin closed the connection" : why);
}

void SideConnection::fail_all(const std::string& why) {
  const auto alive = alive_;
  copy_ = nullptr;
  const auto on_lost = std::exchange(on_lost_, nullptr);
  while (!questions_.empty()) {
    const Question question = std::move(questions_.front());
    questions_.pop_front();
    question.done(core::fail("The connection to the origin was lost: " + why + "."));
    if (!*alive) return;
  }
  if (on_lost) on_lost(why);
}

}  // namespace hyperdrive::proxy::session::postgres
