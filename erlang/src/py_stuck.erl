%% @doc Tells contexts that wait for each other from contexts that are merely busy.
%%
%% A context whose Python thread waits for a registered function is no use to anybody until that function ends. When all of them wait
%% so, and a function waits for a process that waits for a context, nothing will ever happen. What a function waits for cannot be
%% known; that nothing happens, can.
-module(py_stuck).

-export([look/1]).
-export_type([sight/0]).

-opaque sight() :: [{pid(), term()}].
%% Which call of which function each of the contexts is at. Equal ones, some time apart: they have all been at it between.

%% Where {@link py_conversation} has a conversation while a registered function runs, and only then.
-define(KEY, '$py_conversation').

%% Where {@link py_handler} has the process that runs a function for a context.
-define(RUNNER, '$py_runner').

%% @doc What these contexts wait for, when each of them waits for a function that waits itself.
-spec look([pid()]) -> {true, sight()} | false.
look(Contexts) ->
    look(Contexts, []).

-spec look([pid()], sight()) -> {true, sight()} | false.
look([], Seen) ->
    {true, Seen};
look([Context | Contexts], Seen) ->
    case entry(Context, ?RUNNER) of
        {true, Runner} ->
            %% The status first: a function's dictionary may be large.
            case process_info(Runner, status) =:= {status, waiting} andalso entry(Runner, ?KEY) of
                {true, Conversation} -> look(Contexts, [{Runner, Conversation} | Seen]);
                false -> false
            end;
        false ->
            false
    end.

-spec entry(pid(), atom()) -> {true, term()} | false.
entry(Pid, Key) ->
    case process_info(Pid, dictionary) of
        {dictionary, Dictionary} ->
            case lists:keyfind(Key, 1, Dictionary) of
                {Key, Value} -> {true, Value};
                false -> false
            end;
        undefined ->
            false
    end.
