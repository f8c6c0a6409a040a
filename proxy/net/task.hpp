// Coroutines for straight-line conversations (a login, a health check) on one Loop.
//
//   Task<Result> login(Stream& stream) {
//     StreamReader reader(stream);
//     stream.write(startup_message());
//     auto header = co_await reader.at_least(5);
//     ...
//   }
//   Job<Result> job(login(*stream), [](Result result) { ... });
//   job.start();
//
// A Task<T> is a coroutine that has not been started; awaiting it runs it inside the awaiting one.
// A Job<T> is the root of a tree of tasks. There is one way to cancel: destroy the Job (while it
// waits, not from within itself). That destroys the frames, and with them whatever is awaited:
// every awaitable here undoes its timer, connect or read when it is destroyed.
// The only allocation is the coroutine's frame. Exceptions do not leave a task: they terminate.
#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

namespace hyperdrive::proxy::net {

namespace detail {

/// Told by a root coroutine that it has ended; may destroy the coroutine.
class Completion {
 public:
  virtual void ended() = 0;

 protected:
  ~Completion() = default;
};

struct PromiseBase {
  std::coroutine_handle<> awaiting;
  Completion* completion = nullptr;

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      PromiseBase& promise = self.promise();
      if (promise.awaiting) return promise.awaiting;
      if (promise.completion != nullptr) promise.completion->ended();
      return std::noop_coroutine();  // the frame may be gone: touch nothing
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  auto get_return_object() { return std::coroutine_handle<Promise>::from_promise(*this); }
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() { return std::move(*value); }
};

template <>
struct Promise<void> : PromiseBase {
  auto get_return_object() { return std::coroutine_handle<Promise>::from_promise(*this); }
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task(Handle handle) : handle_(handle) {}  // NOLINT: the coroutine's return object converts
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  auto operator co_await() && noexcept {
    struct Awaiter {
      Handle handle;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
        handle.promise().awaiting = awaiting;
        return handle;
      }
      T await_resume() const { return handle.promise().take(); }
    };
    return Awaiter{handle_};
  }

  Handle handle() const { return handle_; }

 private:
  Handle handle_;
};

/// Runs a task to its end, or as far as its owner lets it live. Not movable: the task points to it.
template <class T>
class Job final : private detail::Completion {
 public:
  using Done =
      std::conditional_t<std::is_void_v<T>, std::function<void()>,
                         std::function<void(std::conditional_t<std::is_void_v<T>, int, T>)>>;

  Job(Task<T> task, Done done) : task_(std::move(task)), done_(std::move(done)) {
    task_.handle().promise().completion = this;
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  ~Job() = default;

  /// Runs the task up to its first wait. `done` may be called from here, and may destroy the Job.
  void start() { task_.handle().resume(); }

 private:
  void ended() override {
    auto done = std::move(done_);
    if constexpr (std::is_void_v<T>) {
      done();
    } else {
      T value = task_.handle().promise().take();
      done(std::move(value));
    }
  }

  Task<T> task_;
  Done done_;
};

}  // namespace hyperdrive::proxy::net
