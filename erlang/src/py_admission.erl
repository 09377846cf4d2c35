%% @doc Who is connected, who may connect. Pure; {@link py_coordinator} keeps it.
-module(py_admission).

-export([new/1, expect/3, admit/3, adopt/2, leave/2, forget/2, threads/1, serves/2]).
-export_type([admission/0]).

-record(admission, {
    max_workers :: pos_integer(),
    handlers = #{} :: #{pid() => py_handshake:role()},
    %% Each serves once, for the process that asked for it.
    tokens = #{} :: #{py_handshake:token() => pid()},
    threads = 0 :: non_neg_integer()
}).

-opaque admission() :: #admission{}.

-spec new(pos_integer()) -> admission().
new(MaxWorkers) ->
    #admission{max_workers = MaxWorkers}.

%% @doc `Owner' awaits a connection that shows this token.
-spec expect(py_handshake:token(), pid(), admission()) -> admission().
expect(Token, Owner, #admission{tokens = Tokens} = Admission) ->
    Admission#admission{tokens = Tokens#{Token => Owner}}.

%% @doc Lets a connection in or not; for one with a token, says who awaits it.
-spec admit(pid(), py_handshake:role(), admission()) ->
    {ok, none | {pid(), py_handshake:token()}, admission()} | {refused, binary()}.
admit(_Handler, thread, #admission{threads = Threads, max_workers = Max}) when Threads >= Max ->
    {refused, <<"too many workers: ", (integer_to_binary(Max))/binary, " are connected (setting max_workers)">>};
admit(Handler, thread, #admission{threads = Threads} = Admission) ->
    {ok, none, enter(Handler, thread, Admission#admission{threads = Threads + 1})};
admit(Handler, async, Admission) ->
    %% One for each program, whatever the number of its threads.
    {ok, none, enter(Handler, async, Admission)};
admit(Handler, {_, Token} = Role, #admission{tokens = Tokens} = Admission) ->
    case maps:take(Token, Tokens) of
        {Owner, Rest} -> {ok, {Owner, Token}, enter(Handler, Role, Admission#admission{tokens = Rest})};
        error -> {refused, <<"unknown token">>}
    end.

%% @doc A handler that was let in before this was made. Counted as a thread's, as most are.
-spec adopt(pid(), admission()) -> admission().
adopt(Handler, #admission{threads = Threads} = Admission) ->
    enter(Handler, thread, Admission#admission{threads = Threads + 1}).

%% @doc A handler has ended, or has not come far enough to be let in.
-spec leave(pid(), admission()) -> admission().
leave(Handler, #admission{handlers = Handlers, threads = Threads} = Admission) ->
    case maps:take(Handler, Handlers) of
        {thread, Rest} -> Admission#admission{handlers = Rest, threads = Threads - 1};
        {_, Rest} -> Admission#admission{handlers = Rest};
        error -> Admission
    end.

%% @doc A process that awaited connections awaits them no more.
-spec forget(pid(), admission()) -> admission().
forget(Owner, #admission{tokens = Tokens} = Admission) ->
    Admission#admission{tokens = maps:filter(fun(_, Pid) -> Pid =/= Owner end, Tokens)}.

%% @doc The handlers of Python threads.
-spec threads(admission()) -> [pid()].
threads(#admission{handlers = Handlers}) ->
    [Pid || {Pid, thread} <- maps:to_list(Handlers)].

%% @doc Whether that is the handler of a thread or a context: one whose end ends a function.
-spec serves(pid(), admission()) -> boolean().
serves(Handler, #admission{handlers = Handlers}) ->
    case Handlers of
        #{Handler := thread} -> true;
        #{Handler := {context, _}} -> true;
        #{} -> false
    end.

-spec enter(pid(), py_handshake:role(), admission()) -> admission().
enter(Handler, Role, #admission{handlers = Handlers} = Admission) ->
    Admission#admission{handlers = Handlers#{Handler => Role}}.
