// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

// A token as Tether's is: six decimals, a transfer that returns nothing, and a fee that the
// owner may keep of it. The event has what the payee got.
contract Token {
    string public constant name = "Tether USD";
    string public constant symbol = "USDT";
    uint8 public constant decimals = 6;
    mapping(address => uint256) public balanceOf;
    uint256 public basisPoints;
    address private owner;

    event Transfer(address indexed from, address indexed to, uint256 value);

    constructor() {
        owner = msg.sender;
        balanceOf[msg.sender] = 1e15;
        emit Transfer(address(0), msg.sender, 1e15);
    }

    function setFee(uint256 points) external {
        require(msg.sender == owner, "not the owner");
        basisPoints = points;
    }

    function transfer(address to, uint256 value) external {
        balanceOf[msg.sender] -= value;
        uint256 fee = value * basisPoints / 10000;
        if (fee > 0) {
            balanceOf[owner] += fee;
            emit Transfer(msg.sender, owner, fee);
        }
        balanceOf[to] += value - fee;
        emit Transfer(msg.sender, to, value - fee);
    }
}

// Pays ether on: no transaction to the payee shows it.
contract Payer {
    function pay(address payable to) external payable {
        (bool done,) = to.call{value: msg.value}("");
        require(done, "refused");
    }
}
