// A lazily started coroutine that gives one value, for conversations that read like the protocol's
// own description (opening an origin connection, sending a cancel). Not for the query path.
//
// The Task owns the coroutine's frame: destroying it abandons the work where it waits. All on one
// loop thread.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace hyperdrive::proxy::session::postgres {

template <class T>
class Task {
 public:
  struct promise_type {
    std::optional<T> value;
    std::coroutine_handle<> continuation = std::noop_coroutine();

    Task get_return_object() {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept { return Final{}; }
    void return_value(T result) { value.emplace(std::move(result)); }
    // Nothing on these paths throws but bad_alloc.
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  /// Runs up to the first wait. Only for the outermost task; others are awaited.
  void start() { handle_.resume(); }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    handle_.promise().continuation = awaiting;
    return handle_;
  }
  T await_resume() { return std::move(*handle_.promise().value); }

 private:
  struct Final {
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> ended) noexcept {
      return ended.promise().continuation;
    }
    void await_resume() const noexcept {}
  };
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

}  // namespace hyperdrive::proxy::session::postgres
