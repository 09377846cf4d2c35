%% @doc Requests that the calling process does not wait for, or not yet. Each has a process of its
%% own that waits in its place.
-module(py_task).

-export([cast/2, start/2, await/2]).

-include_lib("kernel/include/logger.hrl").

%% @doc Has it done, whatever becomes of the caller. A failure is logged, as nobody else hears of
%% it.
-spec cast(py_request:where(), py_request:request()) -> ok.
cast(Where, Request) ->
    ok = py_request:started(),
    Space = py_request:space(),
    _ = spawn(fun() ->
        case run(Where, Request, Space, self()) of
            {ok, _} -> ok;
            {error, Reason} -> ?LOG_WARNING(#{what => py_cast_failed, reason => Reason})
        end
    end),
    ok.

%% @doc Has it done as long as the caller lives, who then gets the message `{py_response, Ref,
%% Result}'.
-spec start(py_request:where(), py_request:request()) -> reference().
start(Where, Request) ->
    ok = py_request:started(),
    {Owner, Space, Ref} = {self(), py_request:space(), make_ref()},
    _ = spawn(fun() -> Owner ! {py_response, Ref, run(Where, Request, Space, Owner)} end),
    Ref.

%% @doc Waits for that message. After `timeout' it may still come, and be waited for again.
-spec await(reference(), timeout()) -> py_result:result().
await(Ref, Timeout) ->
    receive
        {py_response, Ref, Result} -> Result
    after 0 ->
        %% Without the application no result will come.
        ok = py_request:started(),
        await_later(Ref, Timeout)
    end.

-spec await_later(reference(), timeout()) -> py_result:result().
await_later(Ref, Timeout) ->
    receive
        {py_response, Ref, Result} -> Result
    after Timeout ->
        {error, timeout}
    end.

-spec run(py_request:where(), py_request:request(), py_conversation:space(), pid()) -> py_result:result().
run(Where, Request, Space, Owner) ->
    try
        case py_request:job(Where, Request, Space, Owner) of
            {ok, Job} -> py_result:result(py_contexts:run(Job, infinity), py_request:policy());
            {error, Limit} -> py_result:limit(Limit)
        end
    catch
        %% The application was stopped meanwhile. The caller waits for a message all the same.
        error:{not_started, _} = NotStarted -> {error, {host_down, NotStarted}}
    end.
